"""How a table's checks say what they found: the rows, and the arithmetic with its numbers."""

from collections.abc import Sequence

from specprof.findings import Finding, Found, Measure
from specprof.published.read.figures import Figure
from specprof.published.read.results import Arm

SHOWN = 3
"""Rows quoted in a sentence; all that fit are in the measures."""
MOST_MEASURES = 12


def measure(name: str, figure: Figure, unit: str = "") -> Measure:
    """Return a printed number as a measure; the interval is what it was rounded from."""
    return Measure(name=name, value=figure.value, unit=unit, low=figure.low, high=figure.high)


def rows_of(arms: Sequence[Arm]) -> str:
    """Name a few rows: `row 2 (eagle), row 3 and 4 more`."""
    named = ", ".join(map(str, arms[:SHOWN]))
    return named + (f" and {len(arms) - SHOWN} more" if len(arms) > SHOWN else "")


def found(
    message: str,
    measures: Sequence[Measure],
    remedy: str,
    *,
    suspects: tuple[str, ...] = (),
    confirm: tuple[str, ...] = (),
) -> Found:
    """Return a finding about a table."""
    return Found(
        finding=Finding(
            message=message,
            measures=tuple(measures[:MOST_MEASURES]),
            remedy=remedy,
            confirm=confirm,
            suspects=suspects,
        )
    )
