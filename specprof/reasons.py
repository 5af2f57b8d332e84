"""Why a file's content could not be decoded, in plain English: the field, its value, what may be.

Knows what msgspec says of an error, and the types that it decodes into; nothing of any one file.
Everything that a file wrote is shortened and made fit to print.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import inspect

from specprof.plain import brief

MAX_SHOWN_SIGNS = 40
"""Of a value; the rest of it becomes an ellipsis."""
MAX_LISTED = 12
"""Words that a field may be, listed whole; of more, how many."""
_PLACE = re.compile(r" - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"unknown field `(.*)`")
_SHORT = re.compile(r"`array` of (?:at least )?length .*, got (\d+)")
_ANY = "..."
"""A step into a table of any keys: which of them is not told."""
Step = str | int
_NOTHING = object()
"""In place of a value that can't be told."""
_PLAIN: dict[type, str] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text",
    inspect.ListType: "a list",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    type(None): "something else",
}


def reason_of(trouble: Exception, written: object, kind: object) -> str:
    """Return why `written` is no `kind`, in one sentence without a full stop.

    `written` is the JSON text as bytes, or what it or a TOML file was decoded to; `kind` is the
    type that msgspec was asked for.
    """
    if isinstance(trouble, RecursionError):
        return "it is nested too deeply"
    if isinstance(trouble, UnicodeDecodeError):
        return "it is no UTF-8"
    if not isinstance(trouble, msgspec.ValidationError):
        return _no_json(str(trouble))
    return _mistyped(str(trouble), written, kind)


def field_of(trouble: msgspec.ValidationError) -> str:
    """Return the name of the field that an error is about; empty where it is about the whole."""
    place = _PLACE.search(str(trouble))
    named = [each for each in _steps(place["path"]) if isinstance(each, str)] if place else []
    return next((each for each in reversed(named) if each != _ANY), "")


def _mistyped(told: str, written: object, kind: object) -> str:
    place = _PLACE.search(told)
    steps = _steps(place["path"]) if place else []
    name, info, value = _walked(steps, written, kind)
    inside = f" in `{brief(name)}`" if name else ""
    if named := _MISSING.search(told):
        return f"the field `{brief(named[1])}` is missing{inside}"
    if named := _UNKNOWN.search(told[: place.start()] if place else told):
        return f"the field `{brief(named[1])}` is not known{inside}"
    if place and place["key"]:
        return f"a key{inside} is not a text"
    short, subject = _SHORT.search(told), f"`{brief(name)}`" if name else "it"
    if _ANY in steps:
        found = f"a value{inside} is wrong"
    elif short:
        found = f"{subject} has {_counted(short[1])}"
    else:
        found = f"{subject} is {_shown(value)}"
    return f"{found}; it must be {_admitted(info)}"


def _no_json(told: str) -> str:
    if told == "Input data was truncated":
        return "it is no JSON: it ends in the middle"
    return f"it is no JSON: {brief(told.removeprefix('JSON is malformed: '))}"


def _steps(path: str) -> list[Step]:
    return [name or (_ANY if index == _ANY else int(index)) for name, index in _STEP.findall(path)]


def _walked(
    steps: Sequence[Step], written: object, kind: object
) -> tuple[str, inspect.Type | None, object]:
    """Return a place's name, the type it is to have, and what was found there."""
    name, info, value = "", cast("inspect.Type | None", _type_of(kind)), written
    value, known = msgspec.Raw(value) if isinstance(value, bytes) else value, True
    for step in steps:
        word, inner = _inner(_one_of(info, value, step), step)
        value, info, known = _child(value, step), inner, known and step != _ANY
        if known:
            name += f"[{word}]" if isinstance(word, int) else f".{word}" if name else word
    return name, info, value


@cache
def _type_of(kind: Any) -> inspect.Type:  # noqa: ANN401 - any type that msgspec decodes into
    return _bare(inspect.type_info(kind))


def _bare(info: inspect.Type) -> inspect.Type:
    """Return a type without what is said of it in words."""
    return info.type if isinstance(info, inspect.Metadata) else info


def _one_of(info: inspect.Type | None, value: object, step: Step) -> inspect.Type | None:
    """Return which of a union's types a step leads into: of events, the one that is named."""
    if not isinstance(info, inspect.UnionType):
        return info
    structs = [each for each in info.types if isinstance(each, inspect.StructType)]
    for each in structs:
        if each.tag_field == step:
            return info
        tag = _child(value, each.tag_field) if each.tag_field else None
        if each.tag_field is None or _shown(tag) == _shown(each.tag):
            return each
    deep = (inspect.ListType, inspect.DictType)
    return next((each for each in info.types if isinstance(each, deep)), None)


def _inner(info: inspect.Type | None, step: Step) -> tuple[Step, inspect.Type | None]:
    """Return a step by its field's name, and the type of what it leads to; None: not known."""
    if isinstance(info, inspect.UnionType):
        tags = tuple(str(each.tag) for each in info.types if isinstance(each, inspect.StructType))
        return step, inspect.LiteralType(tags)
    if isinstance(info, inspect.StructType):
        for place, field in enumerate(info.fields):
            if step in (field.encode_name, place if info.array_like else field.encode_name):
                return field.encode_name, _bare(field.type)
    if isinstance(info, inspect.ListType):
        return step, _bare(info.item_type)
    return step, _bare(info.value_type) if isinstance(info, inspect.DictType) else None


def _child(value: object, step: Step) -> object:
    """Return what is written one step further in; `_NOTHING` where that can't be told."""
    if isinstance(value, msgspec.Raw):
        try:
            value = msgspec.json.decode(
                value, type=list[msgspec.Raw] if isinstance(step, int) else dict[str, msgspec.Raw]
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _NOTHING
    try:
        return value[step] if isinstance(value, list | dict) else _NOTHING  # type: ignore[index]
    except (KeyError, IndexError):
        return _NOTHING


def _shown(value: object) -> str:
    """Return a value as it is written, on one line, and not much of it."""
    if value is _NOTHING:
        return "something else"
    if isinstance(value, msgspec.Raw):
        start = bytes(memoryview(value)[: 4 * MAX_SHOWN_SIGNS + 4])  # four bytes a sign at most
        return brief(start.decode("utf-8", "replace").strip(), MAX_SHOWN_SIGNS)
    if isinstance(value, str):
        return brief(json.dumps(value[: MAX_SHOWN_SIGNS + 1], ensure_ascii=False), MAX_SHOWN_SIGNS)
    try:
        return brief(repr(value), MAX_SHOWN_SIGNS)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"


def _counted(length: str) -> str:
    return "1 entry" if length == "1" else f"{length} entries"


def _admitted(info: inspect.Type | None) -> str:
    """Say what a type admits."""
    told = _PLAIN.get(type(info), "a table of fields")
    match info:
        case inspect.IntType() | inspect.FloatType():
            told += _between(info)
        case inspect.StrType(max_length=int(longest)):
            told += f" of at most {longest:,} characters"
        case inspect.ListType(max_length=int(longest)):
            told += f" of at most {longest:,} entries"
        case inspect.StructType(array_like=True, fields=fields):
            needed = sum(each.required for each in fields)
            told = f"a list of at least {_counted(str(needed))}"
        case inspect.LiteralType(values=words):
            told = _listed(words)
        case inspect.UnionType(types=types):
            told = " or ".join(dict.fromkeys(map(_admitted, types)))
    return told


def _listed(words: Sequence[object]) -> str:
    shown = ", ".join(brief(str(each)) for each in words[:MAX_LISTED])
    more = len(words) - MAX_LISTED
    return f"one of {shown}" + (f" and {more} more" if more > 0 else "")


def _between(info: inspect.IntType | inspect.FloatType) -> str:
    low = info.ge
    high = info.le if info.lt is None else info.lt - 1 if isinstance(info.lt, int) else info.lt
    if info.gt is not None:
        return f" above {info.gt:,}" + (f" and at most {high:,}" if high is not None else "")
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    if low is not None:
        return f" of at least {low:,}"
    return "" if high is None else f" of at most {high:,}"
