"""The results of an interleaved timing: medians over its repetitions, with honest intervals.

Knows times, not what was timed. A ratio is computed within each repetition, where both sides saw
the same state of the machine. Then the median is taken over the repetitions.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.comparison import Figure

Floats = NDArray[np.float64]
MIN_REPETITIONS = 6
"""With fewer repetitions there is no interval: even the whole range of five values holds the median
in fewer than 95 of 100 cases (1 - 2 / 2**5)."""


def median(values: Floats, *, level: float = 0.95) -> Figure | None:
    """Return the median of [repetitions] values; None where there are no values.

    The interval leaves out equally many values at each end, as many as the sign test allows. It
    holds the true median in at least `level` of cases for every law of the values. The median of a
    second run of as few values lies in it less often: of 7 values, in 89 of 100 cases. There is no
    interval below `MIN_REPETITIONS`.
    """
    count = len(values)
    if not count:
        return None
    value = float(np.median(values))
    place = _count_left_out(count, level)
    if count < MIN_REPETITIONS or place is None:
        return Figure(value, n=count)
    ordered = np.sort(values)
    return Figure(value, float(ordered[place]), float(ordered[-1 - place]), count)


def _count_left_out(count: int, level: float) -> int | None:
    """Return how many of `count` values an interval leaves out at each end; None: too few."""
    allowed = Fraction((1 - level) / 2) * 2**count
    place, ways, below = 0, 1, 1  # sign patterns with exactly, and with at most, `place` pluses
    if below > allowed:
        return None
    while True:
        ways = ways * (count - place) // (place + 1)
        below += ways
        if below > allowed:
            return place
        place += 1


def per_second(amount: int, times_ns: Floats) -> Figure | None:
    """Return `amount` per second; `times_ns` are [repetitions, plays], each play did `amount`."""
    return median(amount * 1e9 / times_ns.mean(axis=1)) if len(times_ns) else None


def speedup(times_ns: Floats, base_ns: Floats) -> Figure | None:
    """Return base time / time; both [repetitions, plays] in nanoseconds."""
    return median(base_ns.sum(axis=1) / times_ns.sum(axis=1)) if len(times_ns) else None
