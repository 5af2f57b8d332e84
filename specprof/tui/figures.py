"""Numbers as text: how counts, rates, times and sizes are written on the screen.

Knows formats and nothing about the source of a number. A number that is not known (None or nan) is
an en dash.
"""

import math

UNKNOWN = "–"


def count(value: float | None) -> str:
    """Return a count as `20,000`."""
    return UNKNOWN if _missing(value) else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """Return a count in at most five characters: `950`, `20.0k`, `1.30M`."""
    return UNKNOWN if _missing(value) else _scaled(float(value or 0), 1000, ("", "k", "M", "G"))


def rate(value: float | None) -> str:
    """Return a rate as `0.613`."""
    return UNKNOWN if _missing(value) else f"{value:.3f}"


def ratio(value: float | None) -> str:
    """Return a ratio as `2.47`."""
    return UNKNOWN if _missing(value) else f"{value:.2f}"


def percent(share: float | None) -> str:
    """Return a share, 0 to 1, as `61.3%`."""
    return UNKNOWN if _missing(share) else f"{float(share or 0):.1%}"


def ms(nanoseconds: float | None) -> str:
    """Return milliseconds with about three digits, without the unit."""
    if _missing(nanoseconds):
        return UNKNOWN
    value = float(nanoseconds or 0) / 1e6
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3  # noqa: PLR2004 - digits shrink as values grow
    return f"{value:,.{digits}f}"


def size(value: float | None) -> str:
    """Return a number of bytes as `491 B`, `1.23 MiB`."""
    if _missing(value):
        return UNKNOWN
    value, unit = float(value or 0), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1000:  # noqa: PLR2004 - four digits are one too many
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} B" if unit == "B" else f"{_three_digits(value)} {unit}"


def clock(nanoseconds: float | None) -> str:
    """Return a duration as `0:42` or `1:03:05`."""
    if _missing(nanoseconds):
        return UNKNOWN
    minutes, seconds = divmod(int(float(nanoseconds or 0) / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def share(part: float, whole: float) -> float | None:
    """Return part / whole; None where `whole` is 0, as the share is then not known."""
    return float(part) / float(whole) if whole else None


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _scaled(value: float, step: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if abs(value) < step:
            return f"{value:.0f}" if not unit else f"{_three_digits(value)}{unit}"
        value /= step
    return f"{_three_digits(value)}{units[-1]}"


def _three_digits(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 - digits shrink as values grow
    return f"{value:.{digits}f}"
