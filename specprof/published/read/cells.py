"""One cell of a table: its number, the number's digits, and its unit.

Knows spellings of numbers, not which quantity they measure. Raises nothing: a cell without a number
gives None.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from specprof.published.read.figures import Figure

UNITS: dict[str, tuple[str, float]] = {
    "%": ("share", 0.01),
    "percent": ("share", 0.01),
    "pct": ("share", 0.01),
    "fraction": ("share", 1.0),
    "x": ("times", 1.0),
    "\N{MULTIPLICATION SIGN}": ("times", 1.0),
    "ns": ("time", 1e-9),
    "us": ("time", 1e-6),
    "\N{MICRO SIGN}s": ("time", 1e-6),
    "\N{GREEK SMALL LETTER MU}s": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "millisecond": ("time", 1e-3),
    "milliseconds": ("time", 1e-3),
    "s": ("time", 1.0),
    "sec": ("time", 1.0),
    "secs": ("time", 1.0),
    "second": ("time", 1.0),
    "seconds": ("time", 1.0),
    "min": ("time", 60.0),
    "b": ("bytes", 1.0),
    "bytes": ("bytes", 1.0),
    "kb": ("bytes", 1e3),
    "mb": ("bytes", 1e6),
    "gb": ("bytes", 1e9),
    "kib": ("bytes", 2.0**10),
    "mib": ("bytes", 2.0**20),
    "gib": ("bytes", 2.0**30),
    "tok/s": ("speed", 1.0),
    "tokens/s": ("speed", 1.0),
    "t/s": ("speed", 1.0),
    "tps": ("speed", 1.0),
    "token/s": ("speed", 1.0),
    "tok/sec": ("speed", 1.0),
    "tokens/sec": ("speed", 1.0),
    "tokens/second": ("speed", 1.0),
}
"""Unit -> what it measures, and its size in seconds, bytes, fractions or tokens per second."""
COUNT_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
"""Suffixes of counts: 20k tokens, 7B parameters."""
_MARKS = re.compile(r"[*`~\N{ALMOST EQUAL TO}\N{DAGGER}\N{DOUBLE DAGGER}\N{SECTION SIGN}]+")
_NUMBER = re.compile(
    r"(?:\d{1,3}(?:[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]\d{3})+(?!\d)(?:,\d+)?|\d[\d,_]*)"
    r"(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+",
    re.IGNORECASE,
)
"""Spaces group digits only in threes: `12 34` is two numbers."""
BELOW_ZERO = re.compile(r"[-\N{MINUS SIGN}\N{EN DASH}]\s*(?=\.?\d)")
_SPREAD = re.compile(r"(?:\N{PLUS-MINUS SIGN}|\+/-)\s*(\d+(?:\.\d+)?)")


MIN_VALUE, MAX_VALUE, MAX_DIGITS = 1e-30, 1e30, 40
"""Bounds of a plausible measurement: its value, and its written characters."""
MAX_CELL_CHARS = 400
"""A longer cell is prose, and the search for numbers in it may not end."""


class Cell(NamedTuple):
    """A number as written."""

    figure: Figure
    """The number, in the unit in which it was written."""
    unit: str | None
    """The text after the number, lower case; None where there was none."""
    spread: float | None
    """The number after a plus-minus sign."""
    whole: bool
    """Whether it was written without decimals: then a count is exact."""


def strip_marks(text: str) -> str:
    """Return a cell's text without Markdown's emphasis and footnote marks."""
    return _MARKS.sub("", text).strip("_ \t")


def read_cell(text: str, *, comma: bool = False) -> Cell | None:
    """Return the number in a cell; None where it holds no number, or an ambiguous one.

    With `comma` a single comma is the decimal point, even before three digits.
    """
    if len(text) > MAX_CELL_CHARS:
        return None
    content = strip_marks(text)
    counted = re.fullmatch(r"(\d+)\s*/\s*(\d+)", content)
    if counted and int(counted[2]):
        share = int(counted[1]) / int(counted[2])
        return Cell(Figure(share, share, share), "fraction", None, whole=False)
    spread = _SPREAD.search(content)
    content = content[: spread.start()] + content[spread.end() :] if spread else content
    found = _NUMBER.match(content.lstrip("+"))
    if not found:
        return None
    digits = _normalise_digits(found[0], comma=comma)
    rest = _read_unit(content.lstrip("+")[found.end() :])
    if (
        digits is None
        or len(digits) > MAX_DIGITS
        or not (_is_sane(float(digits)) and _has_sane_power(digits))
    ):
        return None
    if rest and rest not in UNITS and rest not in COUNT_SUFFIXES:
        return None
    return Cell(
        _to_figure(digits), rest or None, float(spread[1]) if spread else None, "." not in digits
    )


def _is_sane(value: float) -> bool:
    """Whether a number is a plausible measurement: arithmetic on it stays finite."""
    return value == 0 or MIN_VALUE < value < MAX_VALUE


def _has_sane_power(digits: str) -> bool:
    """Whether a number's power of ten is plausible: `0e99999` is 0, but absurd."""
    return abs(int(digits.lower().partition("e")[2] or 0)) <= MAX_DIGITS


def is_below_zero(text: str) -> bool:
    """Whether a cell holds a number below 0, which no quantity of a table can have."""
    sign = BELOW_ZERO.match(strip_marks(text))
    return bool(sign) and read_cell(strip_marks(text)[sign.end() :] if sign else "") is not None


def has_decimal_commas(texts: Iterable[str]) -> bool:
    """Whether a table writes decimals with commas.

    True where no number has a point, and where at least one comma can't group digits.
    """
    short = (text for text in texts if len(text) <= MAX_CELL_CHARS)
    found = [number[0] for text in short if (number := _NUMBER.match(strip_marks(text)))]
    points = any("." in each for each in found)
    return not points and any(
        re.fullmatch(r"(0|\d+ ?\d+),\d+|\d+,(\d{1,2}|\d{4,})", each) for each in found
    )


def _read_unit(text: str) -> str:
    """Return the unit after a number; a time per token is a time."""
    rest = text.strip().lower().strip("()")
    each = re.sub(r"\s*(/|per )\s*tok(en)?$", "", rest)
    return each if UNITS.get(each, ("", 0))[0] == "time" else rest


def _normalise_digits(written: str, *, comma: bool) -> str | None:
    """Return the number with a decimal point and no separators; None where it's ambiguous."""
    digits = re.sub(r"[_ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", "", written)
    if "," not in digits:
        return digits
    if comma and re.fullmatch(r"\d+,\d+", digits):
        return digits.replace(",", ".")
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", digits):
        return digits.replace(",", "")
    if re.fullmatch(r"\d+,\d+", digits):
        return digits.replace(",", ".")
    return None


def _to_figure(digits: str) -> Figure:
    """Return the number with half a unit of its last digit on either side, and float rounding."""
    value, (mantissa, _, power) = float(digits), digits.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(power or 0)
    half = max(0.5 * 10.0**-decimals, abs(value) * 1e-12)
    return Figure(value, max(value - half, 0.0), value + half)
