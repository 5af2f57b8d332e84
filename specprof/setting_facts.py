"""What a setting says of itself at its field, and how that is read back.

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
    """Return what a setting means, as `specprof explain` prints it."""
    return Meta(description=text)


def option(text: str, *, flags: str | None = None) -> Meta:
    """Return the help of the setting's option; one without it has none of its own, only `--set`.

    `flags` spells the option where the setting's name would not do.
    """
    return Meta(extra={"option": text, "flags": flags})


def member(kind: str, *, besides: str | None = None) -> Meta:
    """Return the kind of member that the setting names; `besides` is what else it may be."""
    return Meta(extra={"member": kind, "besides": besides})


def zero_or_from(least: float) -> Meta:
    """Return the least that the setting may be where it is not 0."""
    return Meta(extra={"zero_or_from": least})


class SettingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a setting says of itself."""

    name: str
    kind: type
    """Of its values, None aside: str, int, float or bool."""
    default: str | int | float | bool | None
    words: tuple[str, ...] = ()
    """What it can be, in the order written, where that is one of a few words."""
    optional: bool = False
    """Whether it can be None."""
    least: int | float | None = None
    """None: it has no least value, or comes as close to it as one likes."""
    meaning: str = ""
    option: str | None = None
    flags: str | None = None
    member: str | None = None
    besides: str | None = None
    zero_or_from: float | None = None


def facts_of(kind: type[msgspec.Struct]) -> dict[str, SettingFacts]:
    """Return what each field of a struct says of itself, in the order written; each has a default.

    Read from the annotations, for `msgspec.inspect` takes a millisecond of every command's start.
    """
    unset = kind()
    return {
        name: _facts(name, annotation, getattr(unset, name))
        for name, annotation in kind.__annotations__.items()
    }


def _facts(name: str, annotation: object, default: Any) -> SettingFacts:  # noqa: ANN401 - a value
    parts = list(_parts(annotation))
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


def _parts(annotation: object) -> Iterator[object]:
    """Yield the types that an annotation admits, and what it says of them."""
    if get_args(annotation) and get_origin(annotation) is not Literal:
        for each in get_args(annotation):
            yield from _parts(each)
    else:
        yield annotation
