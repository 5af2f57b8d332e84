"""Measure how many threads are fastest on this CPU: a wrong guess costs tenfold.

A small model's step is many tiny operations. To wait for a second thread at each can take longer
than the work, above all on a busy machine. Prefill is wide, so it is measured by itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

REPEATS = 3
MAX_SLOWDOWN = 2.0
"""A count this many times slower than the best so far isn't tried again."""
ALL_THREADS = torch.get_num_threads()
"""The threads torch was given, by the machine or by OMP_NUM_THREADS."""


_measured: dict[str, int] = {}
"""The result for each key: the runs of a sweep must not differ by a second measurement."""


def fastest_count(play: Callable[[], object], key: object = None) -> int:
    """Return the thread count with the quickest of a few interleaved calls of `play`.

    It is measured once a process for each `key` that is not None; keys with equal reprs are equal.
    """
    if key is None:
        return _measure_fastest(play)
    name = repr(key)  # a key holds model facts, whose lists have no hash
    if name not in _measured:
        _measured[name] = _measure_fastest(play)
    return _measured[name]


def _measure_fastest(play: Callable[[], object]) -> int:
    counts = sorted({1, max(1, ALL_THREADS // 2), ALL_THREADS})
    best = dict.fromkeys(counts, float("inf"))
    for _ in range(REPEATS):
        bound = MAX_SLOWDOWN * min(best.values())
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
