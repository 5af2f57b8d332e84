"""How many threads decode fastest on this CPU: measured, because guessing costs tenfold.

A small model's step is many tiny operations; waiting for a second thread at each can take longer
than the work, above all on a busy machine. Prefill is wide and takes every thread.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

REPEATS = 3
HOPELESS = 2.0
"""A count this many times slower than the best so far isn't tried again."""
EVERY = torch.get_num_threads()
"""The threads torch was given, by the machine or by OMP_NUM_THREADS."""


_measured: dict[str, int] = {}
"""What was found for each key: the runs of a sweep must not differ by a second guess."""


def fastest(play: Callable[[], object], key: object = None) -> int:
    """Return the thread count with the quickest of a few interleaved calls of `play`.

    Measured once a process for each `key` that is not None; keys that print alike are one.
    """
    if key is None:
        return _fastest(play)
    name = repr(key)  # what tells models apart holds lists, which have no hash
    if name not in _measured:
        _measured[name] = _fastest(play)
    return _measured[name]


def _fastest(play: Callable[[], object]) -> int:
    counts = sorted({1, max(1, EVERY // 2), EVERY})
    best = dict.fromkeys(counts, float("inf"))
    for _ in range(REPEATS):
        bound = HOPELESS * min(best.values())
        for count in [each for each in counts if best[each] < bound] or counts:
            with threads(count):
                started = time.perf_counter()
                play()
                best[count] = min(best[count], time.perf_counter() - started)
    return min(counts, key=best.__getitem__)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
