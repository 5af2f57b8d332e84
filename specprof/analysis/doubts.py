"""A contradiction in a capture: its kind, its description, and the rounds that show it."""

from dataclasses import dataclass
from typing import Literal

from specprof.analysis.tables import SHOWN_ROUNDS, Ints


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two statements of a capture that can't both be true."""

    of: Literal["counts", "times"]
    told: str
    rounds: tuple[int, ...] = ()
    """Indices of the first rounds that show it."""


def contradict_counts(text: str, rounds: Ints | None = None) -> Contradiction:
    """Return a contradiction of counts; `rounds`, [n], are the indices of rounds that show it."""
    return Contradiction("counts", text, _first_rounds(rounds))


def contradict_times(text: str, rounds: Ints | None = None) -> Contradiction:
    """Return a contradiction of times; `rounds`, [n], are the indices of rounds that show it."""
    return Contradiction("times", text, _first_rounds(rounds))


def _first_rounds(rounds: Ints | None) -> tuple[int, ...]:
    return () if rounds is None else tuple(rounds[:SHOWN_ROUNDS].tolist())
