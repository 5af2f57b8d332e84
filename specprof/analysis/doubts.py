"""What a contradiction in a capture is: what it is of, in words, and the rounds that show it."""

from dataclasses import dataclass
from typing import Literal

from specprof.analysis.tables import Ints

FIRST = 5
"""Rounds named of each."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two things a capture says that can't both be true."""

    of: Literal["counts", "times"]
    told: str
    rounds: tuple[int, ...] = ()
    """Indices of the first rounds that show it."""


def of_counts(told: str, rounds: Ints | None = None) -> Contradiction:
    """Return one of counts; `rounds` are the indices, [n], of those that show it."""
    return Contradiction("counts", told, _first(rounds))


def of_times(told: str, rounds: Ints | None = None) -> Contradiction:
    """Return one of times; `rounds` are the indices, [n], of those that show it."""
    return Contradiction("times", told, _first(rounds))


def _first(rounds: Ints | None) -> tuple[int, ...]:
    return () if rounds is None else tuple(rounds[:FIRST].tolist())
