"""The known ways in which speculative decoding goes wrong, or only seems to.

Each TOML file holds the cases of one part of an engine. Each case names the public threads in which
it was seen. A diagnosis points to cases by id, and ids are stable. The catalogue knows no rule and
no fault; they know the catalogue.
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
    """The stage of the decision table in which it shows."""
    title: str
    """What is wrong, in one line."""
    remedy: str
    threads: list[str] = []
    """`owner/repository#number` on GitHub; empty: it follows from theory, no thread was found."""
    alike: list[str] = []
    """Cases that leave the same signals in a capture, which therefore can't distinguish them."""
    unseen: str | None = None
    """Why no capture shows the case; None where captures do."""


@cache
def cases() -> dict[str, Case]:
    """Return every case by id: the file's stem, a slash, the case's name in the file.

    Raises SpecprofError where a file of the catalogue is damaged.
    """
    found: dict[str, Case] = {}
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        hint = "mend it, or install specprof again"
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as trouble:
            raise SpecprofError(f"{path} can't be read: {trouble}", hint) from trouble
        try:
            named = msgspec.convert(tables, dict[str, Case])
        except msgspec.ValidationError as trouble:
            reason = reason_of(trouble, tables, dict[str, Case])
            raise SpecprofError(f"{path} can't be read: {reason}", hint) from trouble
        found |= {f"{path.stem}/{name}": case for name, case in named.items()}
    return found


def case(name: str) -> Case:
    """Return one case by its id.

    Raises UnknownName for an unknown id, with the known ids, the nearest first.
    """
    if name not in cases():
        raise UnknownName("case", name, cases())
    return cases()[name]


def id_of(name: str) -> str:
    """Return the id for a name that may have a dash for the slash; other names unchanged."""
    return next((each for each in cases() if name in {each, each.replace("/", "-", 1)}), name)
