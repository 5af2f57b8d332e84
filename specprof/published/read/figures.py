"""A printed number: the interval of all numbers that would round to it.

Arithmetic on such intervals never claims more than the digits say: the result contains the true
result for all numbers in the operands' intervals. Where an operand occurs twice the result is only
wider. For quantities that are never negative: rates, counts, times.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

MIN_WITHOUT_DECIMALS = 1000
"""From this value on a number is shown without decimals."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that is 0 or more, and the interval from which it was rounded."""

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
            _divide(self.value, other.value),
            _divide(self.low, other.high),
            _divide(self.high, other.low),
        )

    def meets(self, other: "Figure", tolerated: float = 0.0) -> bool:
        """Whether both could be one number, with a relative error of up to `tolerated`."""
        room = 1 + tolerated + 1e-9
        return self.low <= other.high * room and other.low <= self.high * room

    def __str__(self) -> str:
        return f"{self.value:,.0f}" if self.value >= MIN_WITHOUT_DECIMALS else f"{self.value:.4g}"


def exactly(value: float) -> Figure:
    """Return a number that was not rounded."""
    return Figure(value, value, value)


def total(figures: Iterable[Figure]) -> Figure:
    """Return the sum."""
    found = exactly(0)
    for each in figures:
        found += each
    return found


def _divide(top: float, bottom: float) -> float:
    return top / bottom if bottom else math.inf
