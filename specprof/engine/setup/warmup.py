"""Before anything counts: first calls allocate, choose kernels and fill caches.

They also show how many threads decode fastest.
"""

import gc

import torch

from specprof.engine.batch import steps
from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.instruments.threads import EVERY, fastest
from specprof.engine.record_ahead import record_next
from specprof.engine.run import Run
from specprof.plan import FIRST_STOP

TOKENS = 16


def warm_up(run: Run) -> int:
    """Decode a few tokens nobody counts; return the threads prefill takes.

    On a CPU decoding is left with the thread count it was measured fastest with.
    """
    prefill_threads = EVERY
    _decode(run)
    if run.device.type == "cpu":
        asked, batch = run.settings.threads, run.settings.batch
        models = (run.target.facts, run.draft and run.draft.facts)
        prefill_threads = asked or fastest(lambda: _prefill(run), ("prefill", *models))
        key = ("decode", batch, run.settings.path, *models)
        torch.set_num_threads(asked or fastest(lambda: _decode(run), key))
    run.roll_back_to(1)
    for lane in run.lanes:
        lane.draw_anew()
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection in a round need walk it again
    return prefill_threads


def _prefill(run: Run) -> None:
    run.roll_back_to(1)
    length = min(PREFILL_CHUNK, run.settings.context) - 1
    run.loop.target.prefill(run.tokens[:length])


def _decode(run: Run) -> None:
    lanes, settings = run.lanes, run.settings
    context = min(FIRST_STOP, settings.context)
    committed = [lane.tokens[:context] for lane in lanes]
    for lane, tokens in zip(lanes, committed, strict=True):
        lane.roll_back_to(min(context, lane.loop.target.length + 1))
        lane.loop.target.prefill(tokens[lane.loop.target.length : -1])
        lane.loop.drafter.prefill(tokens)
        record_next(lane.loop)
    engines, new = [lane.loop for lane in lanes], min(TOKENS, settings.max_new_tokens)
    for _ in steps(engines, committed, new_tokens=new, stop=frozenset()):
        pass
    run.roll_back_to(context)
