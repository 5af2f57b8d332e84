"""Warm up before anything is measured: first calls allocate, choose kernels and fill caches.

They also measure how many threads decode fastest.
"""

import gc

import torch

from specprof.engine.batch import steps
from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.instruments.threads import ALL_THREADS, fastest_count
from specprof.engine.record_ahead import record_next
from specprof.engine.run import Run
from specprof.plan import FIRST_STOP

WARM_UP_TOKENS = 16


def warm_up(run: Run) -> int:
    """Decode a few tokens that are not counted; return the number of threads for prefill.

    On a CPU torch is then set to the settings' thread count, or to the one that decoded fastest.
    """
    prefill_threads = ALL_THREADS
    _decode(run)
    if run.device.type == "cpu":
        asked, batch = run.settings.threads, run.settings.batch
        models = (run.target.facts, run.draft and run.draft.facts)
        prefill_threads = asked or fastest_count(lambda: _prefill(run), ("prefill", *models))
        key = ("decode", batch, run.settings.path, *models)
        torch.set_num_threads(asked or fastest_count(lambda: _decode(run), key))
    run.roll_back_to(1)
    for lane in run.lanes:
        lane.draw_anew()
    gc.collect()
    gc.freeze()  # loaded objects stay: a collection during a round need not walk them
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
    engines, new = [lane.loop for lane in lanes], min(WARM_UP_TOKENS, settings.max_new_tokens)
    for _ in steps(engines, committed, new_tokens=new, stop=frozenset()):
        pass
    run.roll_back_to(context)
