"""What an interleaved timing amounts to: medians over its repetitions, with honest intervals.

Knows times, not who took them. A ratio is made within each repetition, where both sides saw the
same state of the machine, and only then are the repetitions put together.
"""

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.comparison import Figure

Floats = NDArray[np.float64]
FEWEST = 6
"""Repetitions below which no interval is told: even from the least to the greatest of five it holds
the median in fewer than 95 of 100 cases (1 - 2 / 2**5)."""
DRAWS = 4000


def median(values: Floats, *, level: float = 0.95) -> Figure | None:
    """Return the median of [repetitions] values; None of none.

    Interval: percentile bootstrap over the repetitions, seed fixed; None below `FEWEST`.
    """
    count = len(values)
    if not count:
        return None
    value = float(np.median(values))
    if count < FEWEST:
        return Figure(value, n=count)
    drawn = np.random.default_rng(0).choice(values, (DRAWS, count))  # [draws, repetitions]
    low, high = np.quantile(np.median(drawn, axis=1), [0.5 - level / 2, 0.5 + level / 2])
    return Figure(value, float(low), float(high), count)


def per_second(amount: int, times_ns: Floats) -> Figure | None:
    """Return `amount` a second; [repetitions, plays] nanoseconds, each play did that much."""
    return median(amount * 1e9 / times_ns.mean(axis=1)) if len(times_ns) else None


def faster(times_ns: Floats, base_ns: Floats) -> Figure | None:
    """Return how many times as fast as its base something is; both [repetitions, plays]."""
    return median(base_ns.sum(axis=1) / times_ns.sum(axis=1)) if len(times_ns) else None
