"""Every known way speculative decoding goes wrong, or only seems to: a TOML file a kind of place.

Each case was seen in public threads, named with it. A diagnosis points here by id; ids are stable.
Knows no rule and no fault; they know it.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from specprof.errors import SpecprofError, UnknownName
from specprof.findings import Stage
from specprof.reasons import reason_of

Kind = Literal[
    "implementation bug",
    "numerics",
    "configuration error",
    "distribution mismatch",
    "performance",
    "measurement",
]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One known case."""

    kind: Kind
    group: Stage
    """Where it shows: the stage of the decision table that answers for it."""
    title: str
    """What is wrong, in a line."""
    remedy: str
    threads: list[str] = []
    """`owner/repository#number` on GitHub; none: it follows from theory, no thread was found."""
    alike: list[str] = []
    """Cases that leave the same signals in a capture, so that it can't tell them apart."""
    unseen: str | None = None
    """Why no capture shows it, where none does."""


@cache
def cases() -> dict[str, Case]:
    """Return every case by id: the file's stem, a slash, the case's name in the file.

    Raises SpecprofError where a file of the catalogue is damaged.
    """
    found: dict[str, Case] = {}
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        hint = "mend it, or install specprof anew"
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as trouble:
            raise SpecprofError(f"{path} can't be read: {trouble}", hint) from trouble
        try:
            told = msgspec.convert(tables, dict[str, Case])
        except msgspec.ValidationError as trouble:
            reason = reason_of(trouble, tables, dict[str, Case])
            raise SpecprofError(f"{path} can't be read: {reason}", hint) from trouble
        found |= {f"{path.stem}/{name}": case for name, case in told.items()}
    return found


def case(name: str) -> Case:
    """Return one case by its id; an unknown one lists the known, nearest first."""
    if name not in cases():
        raise UnknownName("case", name, cases())
    return cases()[name]


def id_of(name: str) -> str:
    """Return the id that a name stands for, whose slash may be a dash; other names as they are."""
    return next((each for each in cases() if name in {each, each.replace("/", "-", 1)}), name)
