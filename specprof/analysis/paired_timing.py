"""What an interleaved timing amounts to: medians over its repetitions, with honest intervals.

Knows times, not who took them. A ratio is made within each repetition, where both sides saw the
same state of the machine, and only then are the repetitions put together.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.comparison import Figure

Floats = NDArray[np.float64]
FEWEST = 6
"""Repetitions below which no interval is told: even from the least to the greatest of five it holds
the median in fewer than 95 of 100 cases (1 - 2 / 2**5)."""


def median(values: Floats, *, level: float = 0.95) -> Figure | None:
    """Return the median of [repetitions] values; None of none.

    Interval: from the value so many places from the least to that as many from the greatest that it
    holds the median in at least `level` of cases, whatever the values' law (the sign test's). Drawn
    anew, so few values hold it in fewer: 7 of them in 89 of 100. None below `FEWEST`.
    """
    count = len(values)
    if not count:
        return None
    value = float(np.median(values))
    place = _outside(count, level)
    if count < FEWEST or place is None:
        return Figure(value, n=count)
    ordered = np.sort(values)
    return Figure(value, float(ordered[place]), float(ordered[-1 - place]), count)


def _outside(count: int, level: float) -> int | None:
    """Return how many of `count` values an interval leaves out at each end; None: too few."""
    allowed = Fraction((1 - level) / 2) * 2**count
    place, ways, below = 0, 1, 1  # of signs with `place` on the one side, and with at most so many
    if below > allowed:
        return None
    while True:
        ways = ways * (count - place) // (place + 1)
        below += ways
        if below > allowed:
            return place
        place += 1


def per_second(amount: int, times_ns: Floats) -> Figure | None:
    """Return `amount` a second; [repetitions, plays] nanoseconds, each play did that much."""
    return median(amount * 1e9 / times_ns.mean(axis=1)) if len(times_ns) else None


def faster(times_ns: Floats, base_ns: Floats) -> Figure | None:
    """Return how many times as fast as its base something is; both [repetitions, plays]."""
    return median(base_ns.sum(axis=1) / times_ns.sum(axis=1)) if len(times_ns) else None
