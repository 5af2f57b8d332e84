"""Before anything counts: first calls allocate, choose kernels and fill caches.

They also show how many threads decode fastest.
"""

import gc

import torch

from specprof.engine.batch import steps
from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.instruments.threads import EVERY, fastest
from specprof.engine.replay.model import ready
from specprof.engine.setup.wiring import Wired
from specprof.plan import FIRST_STOP

TOKENS = 16


def warm_up(wired: Wired) -> int:
    """Decode a few tokens nobody counts; return the threads prefill takes.

    On a CPU decoding is left with the thread count it was measured fastest with.
    """
    prefill_threads = EVERY
    _decode(wired)
    if wired.device.type == "cpu":
        asked, batch = wired.settings.threads, wired.settings.batch
        models = (wired.target.facts, wired.draft and wired.draft.facts)
        prefill_threads = asked or fastest(lambda: _prefill(wired), ("prefill", *models))
        key = ("decode", batch, wired.settings.path, *models)
        torch.set_num_threads(asked or fastest(lambda: _decode(wired), key))
    wired.roll_back_to(1)
    for lane in wired.lanes:
        lane.draw_anew()
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection in a round need walk it again
    return prefill_threads


def _prefill(wired: Wired) -> None:
    wired.roll_back_to(1)
    length = min(PREFILL_CHUNK, wired.settings.context) - 1
    wired.engine.target.prefill(wired.tokens[:length])


def _decode(wired: Wired) -> None:
    lanes, settings = wired.lanes, wired.settings
    context = min(FIRST_STOP, settings.context)
    committed = [lane.tokens[:context] for lane in lanes]
    for lane, tokens in zip(lanes, committed, strict=True):
        lane.roll_back_to(min(context, lane.engine.target.length + 1))
        lane.engine.target.prefill(tokens[lane.engine.target.length : -1])
        lane.engine.drafter.prefill(tokens)
        ready(lane.engine)
    engines, new = [lane.engine for lane in lanes], min(TOKENS, settings.max_new_tokens)
    for _ in steps(engines, committed, new_tokens=new, stop=frozenset()):
        pass
    wired.roll_back_to(context)
