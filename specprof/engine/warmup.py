"""Before anything counts: first calls allocate, choose kernels and fill caches.

They also show how many threads decode fastest.
"""

import gc

import torch

from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.threads import EVERY, fastest
from specprof.engine.wiring import Wired
from specprof.plan import FIRST_STOP

TOKENS = 16


def warm_up(wired: Wired) -> int:
    """Decode a few tokens nobody counts; return the threads prefill takes.

    On a CPU decoding is left with the thread count it was measured fastest with.
    """
    prefill_threads = EVERY
    _decode(wired)
    if wired.device.type == "cpu":
        asked = wired.settings.threads
        models = (wired.target.facts, wired.draft and wired.draft.facts)
        prefill_threads = asked or fastest(lambda: _prefill(wired), ("prefill", *models))
        torch.set_num_threads(asked or fastest(lambda: _decode(wired), ("decode", *models)))
    wired.roll_back_to(1)
    wired.engine.generator.manual_seed(wired.settings.seed)
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection in a round need walk it again
    return prefill_threads


def _prefill(wired: Wired) -> None:
    wired.roll_back_to(1)
    length = min(PREFILL_CHUNK, wired.settings.context) - 1
    wired.engine.target.prefill(wired.tokens[:length])


def _decode(wired: Wired) -> None:
    engine, settings = wired.engine, wired.settings
    wired.roll_back_to(min(FIRST_STOP, engine.target.length + 1))
    committed = wired.tokens[: min(FIRST_STOP, settings.context)]
    context = len(committed)
    engine.target.prefill(committed[engine.target.length : -1])
    engine.drafter.prefill(committed)
    tokens = min(TOKENS, settings.max_new_tokens)
    for _ in engine.rounds(committed, new_tokens=tokens, stop=frozenset()):
        pass
    wired.roll_back_to(context)
