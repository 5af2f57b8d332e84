"""What the field of a setting declares, and how the declaration is read.

Knows fields of msgspec structs; no setting by its name. A field's annotation holds its type, its
bounds as a `msgspec.Meta`, and what the functions here return:

    window: Annotated[Tokens, meaning("..."), option("..."), member("...")] = 512
"""

import math
import re
from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE).fullmatch


def number(kind: type, text: str) -> int | float:
    """Return the number that a text writes in plain digits: `6`, `0.7`, `1e-3`.

    Python itself also reads `1_0`, a space, or the digits of another script: all are slips here.
    Raises ValueError at those, at what is not finite, and at a fraction where `kind` is int.
    """
    if not _NUMBER(text):
        raise ValueError(f"{text!r} is no number")
    if kind is int and text.lstrip("+-").isdecimal():
        return int(text)
    found = float(text)
    if not math.isfinite(found) or (kind is int and not found.is_integer()):
        raise ValueError(f"{text!r} is no number here")
    return int(found) if kind is int else found


def meaning(text: str) -> Meta:
    """Declare what a setting means, as `specprof explain` prints it."""
    return Meta(description=text)


def option(text: str, *, flags: str | None = None) -> Meta:
    """Declare the help of the setting's own option; without it only `--set` sets the setting.

    `flags` spells the option if the setting's name does not.
    """
    return Meta(extra={"option": text, "flags": flags})


def member(kind: str, *, besides: str | None = None) -> Meta:
    """Declare the kind of member that the setting names; `besides` is one more word it may be."""
    return Meta(extra={"member": kind, "besides": besides})


def zero_or_from(least: float) -> Meta:
    """Declare the least value of a setting that may also be 0."""
    return Meta(extra={"zero_or_from": least})


class SettingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the field of a setting declares."""

    name: str
    kind: type
    """Type of its values, None aside: str, int, float or bool."""
    default: str | int | float | bool | None
    words: tuple[str, ...] = ()
    """The words it can be, in the order written; empty if it is not limited to a few words."""
    optional: bool = False
    """Whether it can be None."""
    least: int | float | None = None
    """The least value; None if it has none, as a number that must only be above 0."""
    meaning: str = ""
    option: str | None = None
    flags: str | None = None
    member: str | None = None
    besides: str | None = None
    zero_or_from: float | None = None


def facts_of(kind: type[msgspec.Struct]) -> dict[str, SettingFacts]:
    """Return what each field of a struct declares, in the order written; each has a default.

    The annotations are read directly: `msgspec.inspect` would delay each command by a millisecond.
    """
    unset = kind()
    return {
        name: _read_facts(name, annotation, getattr(unset, name))
        for name, annotation in kind.__annotations__.items()
    }


def _read_facts(name: str, annotation: object, default: Any) -> SettingFacts:  # noqa: ANN401 - a value
    parts = list(_annotation_parts(annotation))
    said = [each for each in parts if isinstance(each, Meta)]
    words = tuple(word for each in parts for word in get_args(each))
    extra = {key: value for each in said for key, value in (each.extra or {}).items()}
    return SettingFacts(
        name=name,
        kind=next((each for each in (bool, int, float) if each in parts), str),
        default=default,
        words=words,
        optional=NoneType in parts,
        least=next((each.ge for each in said if each.ge is not None), None),
        meaning=next((each.description for each in said if each.description), ""),
        **extra,
    )


def _annotation_parts(annotation: object) -> Iterator[object]:
    """Yield the types that an annotation admits, and its metadata."""
    if get_args(annotation) and get_origin(annotation) is not Literal:
        for each in get_args(annotation):
            yield from _annotation_parts(each)
    else:
        yield annotation
