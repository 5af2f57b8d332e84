"""A printed number: the interval of all numbers that would have been printed so.

Arithmetic on such intervals never claims more than the digits say: whatever the true numbers were,
the result holds what they give (as long as each operand occurs once; else it is only wider). For
what is never negative: rates, counts, times.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

LARGE = 1000
"""From here on a number is shown without decimals."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that is 0 or more, and the interval it was rounded from."""

    value: float
    low: float
    high: float

    def __add__(self, other: "Figure") -> "Figure":
        return Figure(self.value + other.value, self.low + other.low, self.high + other.high)

    def __sub__(self, other: "Figure") -> "Figure":
        low = max(self.low - other.high, 0.0)
        return Figure(max(self.value - other.value, 0.0), low, max(self.high - other.low, low))

    def __mul__(self, other: "Figure") -> "Figure":
        return Figure(self.value * other.value, self.low * other.low, self.high * other.high)

    def __truediv__(self, other: "Figure") -> "Figure":
        return Figure(
            _over(self.value, other.value), _over(self.low, other.high), _over(self.high, other.low)
        )

    def meets(self, other: "Figure", tolerated: float = 0.0) -> bool:
        """Whether both could be the same number, one of them up to `tolerated` off (relative)."""
        room = 1 + tolerated + 1e-9
        return self.low <= other.high * room and other.low <= self.high * room

    def __str__(self) -> str:
        return f"{self.value:,.0f}" if self.value >= LARGE else f"{self.value:.4g}"


def exactly(value: float) -> Figure:
    """Return a number that was not rounded."""
    return Figure(value, value, value)


def total(figures: Iterable[Figure]) -> Figure:
    """Return the sum."""
    found = exactly(0)
    for each in figures:
        found += each
    return found


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom else math.inf
