"""One cell of a table: which number is written in it, to how many digits, in which unit.

Knows spellings of numbers, not what they are of. Raises nothing: what is no number is None.
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
"""Unit -> what it measures, and what one of it is in seconds, bytes, fractions, tokens a second."""
COUNTED = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
"""Suffixes of counts: 20k tokens, 7B parameters."""
_MARKS = re.compile(r"[*`~\N{ALMOST EQUAL TO}\N{DAGGER}\N{DOUBLE DAGGER}\N{SECTION SIGN}]+")
_NUMBER = re.compile(
    r"(?:\d{1,3}(?:[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]\d{3})+(?!\d)(?:,\d+)?|\d[\d,_]*)"
    r"(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+",
    re.IGNORECASE,
)
"""Spaces group digits by threes only: `12 34` is two numbers."""
BELOW_ZERO = re.compile(r"[-\N{MINUS SIGN}\N{EN DASH}]\s*(?=\.?\d)")
_SPREAD = re.compile(r"(?:\N{PLUS-MINUS SIGN}|\+/-)\s*(\d+(?:\.\d+)?)")


LEAST, MOST, LONGEST = 1e-30, 1e30, 40
"""Beyond these, and with more signs, no number is of anything measured."""
LONGEST_CELL = 400
"""Signs; a longer cell is prose, and looking for numbers in it may take for ever."""


class Cell(NamedTuple):
    """A number as written."""

    figure: Figure
    """In the unit it was written in."""
    unit: str | None
    """What stood after it, lower case; None where nothing did."""
    spread: float | None
    """What stood after a plus-minus sign."""
    whole: bool
    """Whether it was written without any decimals: a count is exact then."""


def bare(text: str) -> str:
    """Return a cell's text without Markdown's emphasis and the signs of footnotes."""
    return _MARKS.sub("", text).strip("_ \t")


def read_cell(text: str, *, comma: bool = False) -> Cell | None:
    """Return the number in a cell; None where it holds none, or more than one can be.

    With `comma` a lone comma stands before the decimals, three of them too.
    """
    if len(text) > LONGEST_CELL:
        return None
    told = bare(text)
    counted = re.fullmatch(r"(\d+)\s*/\s*(\d+)", told)
    if counted and int(counted[2]):
        share = int(counted[1]) / int(counted[2])
        return Cell(Figure(share, share, share), "fraction", None, whole=False)
    spread = _SPREAD.search(told)
    told = told[: spread.start()] + told[spread.end() :] if spread else told
    found = _NUMBER.match(told.lstrip("+"))
    if not found:
        return None
    digits = _plain_digits(found[0], comma=comma)
    rest = _rest(told.lstrip("+")[found.end() :])
    if (
        digits is None
        or len(digits) > LONGEST
        or not (_sane(float(digits)) and _sane_power(digits))
    ):
        return None
    if rest and rest not in UNITS and rest not in COUNTED:
        return None
    return Cell(
        _figure(digits), rest or None, float(spread[1]) if spread else None, "." not in digits
    )


def _sane(value: float) -> bool:
    """Whether a number can be of anything measured: arithmetic on it stays finite."""
    return value == 0 or LEAST < value < MOST


def _sane_power(digits: str) -> bool:
    """Whether a number is written with a power that it can have: `0e99999` is 0, and absurd."""
    return abs(int(digits.lower().partition("e")[2] or 0)) <= LONGEST


def is_below_zero(text: str) -> bool:
    """Whether a number below 0 is written here; nothing read from tables can be one."""
    told = BELOW_ZERO.match(bare(text))
    return bool(told) and read_cell(bare(text)[told.end() :] if told else "") is not None


def decimal_commas(texts: Iterable[str]) -> bool:
    """Whether commas stand before decimals in a table: one can't group digits, no point is used."""
    short = (text for text in texts if len(text) <= LONGEST_CELL)
    found = [number[0] for text in short if (number := _NUMBER.match(bare(text)))]
    points = any("." in each for each in found)
    return not points and any(
        re.fullmatch(r"(0|\d+ ?\d+),\d+|\d+,(\d{1,2}|\d{4,})", each) for each in found
    )


def _rest(told: str) -> str:
    """Return the unit behind a number; a time a token is a time."""
    rest = told.strip().lower().strip("()")
    each = re.sub(r"\s*(/|per )\s*tok(en)?$", "", rest)
    return each if UNITS.get(each, ("", 0))[0] == "time" else rest


def _plain_digits(written: str, *, comma: bool) -> str | None:
    """Return the number with a point for the decimals and no separators; None if it's ambiguous."""
    told = re.sub(r"[_ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", "", written)
    if "," not in told:
        return told
    if comma and re.fullmatch(r"\d+,\d+", told):
        return told.replace(",", ".")
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", told):
        return told.replace(",", "")
    if re.fullmatch(r"\d+,\d+", told):
        return told.replace(",", ".")
    return None


def _figure(digits: str) -> Figure:
    """Half a unit of the last digit either way; never less than a float's own rounding."""
    value, (mantissa, _, power) = float(digits), digits.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(power or 0)
    half = max(0.5 * 10.0**-decimals, abs(value) * 1e-12)
    return Figure(value, max(value - half, 0.0), value + half)
