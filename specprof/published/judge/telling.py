"""How a table's checks report findings: the rows, and the arithmetic with its numbers."""

from collections.abc import Sequence

from specprof.findings import Finding, Found, Measure
from specprof.published.read.figures import Figure
from specprof.published.read.results import Arm

MAX_ROWS_NAMED = 3
"""The most rows that a sentence names; the measures list more."""
MAX_MEASURES = 12


def measure(name: str, figure: Figure, unit: str = "") -> Measure:
    """Return a printed number as a measure, with the interval from which it was rounded."""
    return Measure(name=name, value=figure.value, unit=unit, low=figure.low, high=figure.high)


def rows_of(arms: Sequence[Arm]) -> str:
    """Return the names of the first few rows: `row 2 (eagle), row 3 and 4 more`."""
    named = ", ".join(map(str, arms[:MAX_ROWS_NAMED]))
    return named + (f" and {len(arms) - MAX_ROWS_NAMED} more" if len(arms) > MAX_ROWS_NAMED else "")


def report_finding(
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
            measures=tuple(measures[:MAX_MEASURES]),
            remedy=remedy,
            confirm=confirm,
            suspects=suspects,
        )
    )
