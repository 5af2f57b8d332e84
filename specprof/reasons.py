"""Why a file's content could not be decoded: the field, its value, and what it must be.

Knows msgspec's errors and the types it decodes into; nothing of any one file. What a file wrote is
shortened and escaped before it is quoted.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import inspect

from specprof.plain import brief

MAX_SHOWN_CHARS = 40
"""Characters shown of a value; an ellipsis stands for the rest."""
MAX_LISTED_WORDS = 12
"""Words listed that a field may be; of more words, only their number."""
_PLACE = re.compile(r" - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"unknown field `(.*)`")
_SHORT = re.compile(r"`array` of (?:at least )?length .*, got (\d+)")
_ANY_KEY = "..."
"""A step into a table with any keys: msgspec does not name the key."""
Step = str | int
_NOT_FOUND = object()
"""In place of a value that was not found."""
_TYPE_NAMES: dict[type, str] = {
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

    `written` is JSON text as bytes, or data decoded from JSON or TOML. `kind` is the type that
    msgspec was asked for.
    """
    if isinstance(trouble, RecursionError):
        return "it is nested too deeply"
    if isinstance(trouble, UnicodeDecodeError):
        return "it is no UTF-8"
    if not isinstance(trouble, msgspec.ValidationError):
        return _no_json_reason(str(trouble))
    return _mistyped_reason(str(trouble), written, kind)


def field_of(trouble: msgspec.ValidationError) -> str:
    """Return the name of the field that an error is about; empty if it is about the whole."""
    place = _PLACE.search(str(trouble))
    named = [each for each in _parse_steps(place["path"]) if isinstance(each, str)] if place else []
    return next((each for each in reversed(named) if each != _ANY_KEY), "")


def _mistyped_reason(message: str, written: object, kind: object) -> str:
    place = _PLACE.search(message)
    steps = _parse_steps(place["path"]) if place else []
    name, info, value = _walk_steps(steps, written, kind)
    inside = f" in `{brief(name)}`" if name else ""
    if named := _MISSING.search(message):
        return f"the field `{brief(named[1])}` is missing{inside}"
    if named := _UNKNOWN.search(message[: place.start()] if place else message):
        return f"the field `{brief(named[1])}` is not known{inside}"
    if place and place["key"]:
        return f"a key{inside} is not a text"
    short, subject = _SHORT.search(message), f"`{brief(name)}`" if name else "it"
    if _ANY_KEY in steps:
        found = f"a value{inside} is wrong"
    elif short:
        found = f"{subject} has {_count_entries(short[1])}"
    else:
        found = f"{subject} is {_show_value(value)}"
    return f"{found}; it must be {_describe_type(info)}"


def _no_json_reason(message: str) -> str:
    if message == "Input data was truncated":
        return "it is no JSON: it ends in the middle"
    return f"it is no JSON: {brief(message.removeprefix('JSON is malformed: '))}"


def _parse_steps(path: str) -> list[Step]:
    return [
        name or (_ANY_KEY if index == _ANY_KEY else int(index))
        for name, index in _STEP.findall(path)
    ]


def _walk_steps(
    steps: Sequence[Step], written: object, kind: object
) -> tuple[str, inspect.Type | None, object]:
    """Follow the steps; return the name of the place, the type due there, and the value found."""
    name, info, value = "", cast("inspect.Type | None", _type_of(kind)), written
    value, known = msgspec.Raw(value) if isinstance(value, bytes) else value, True
    for step in steps:
        word, inner = _inner_type(_choose_union_type(info, value, step), step)
        value, info, known = _child_value(value, step), inner, known and step != _ANY_KEY
        if known:
            name += f"[{word}]" if isinstance(word, int) else f".{word}" if name else word
    return name, info, value


@cache
def _type_of(kind: Any) -> inspect.Type:  # noqa: ANN401 - any type that msgspec decodes into
    return _drop_metadata(inspect.type_info(kind))


def _drop_metadata(info: inspect.Type) -> inspect.Type:
    """Return a type without its metadata."""
    return info.type if isinstance(info, inspect.Metadata) else info


def _choose_union_type(info: inspect.Type | None, value: object, step: Step) -> inspect.Type | None:
    """Return the type of a union that a step leads into; among events, the one its tag names."""
    if not isinstance(info, inspect.UnionType):
        return info
    structs = [each for each in info.types if isinstance(each, inspect.StructType)]
    for each in structs:
        if each.tag_field == step:
            return info
        tag = _child_value(value, each.tag_field) if each.tag_field else None
        if each.tag_field is None or _show_value(tag) == _show_value(each.tag):
            return each
    deep = (inspect.ListType, inspect.DictType)
    return next((each for each in info.types if isinstance(each, deep)), None)


def _inner_type(info: inspect.Type | None, step: Step) -> tuple[Step, inspect.Type | None]:
    """Return the name of a step's field, and the type it leads to; None: not known."""
    if isinstance(info, inspect.UnionType):
        tags = tuple(str(each.tag) for each in info.types if isinstance(each, inspect.StructType))
        return step, inspect.LiteralType(tags)
    if isinstance(info, inspect.StructType):
        for place, field in enumerate(info.fields):
            if step in (field.encode_name, place if info.array_like else field.encode_name):
                return field.encode_name, _drop_metadata(field.type)
    if isinstance(info, inspect.ListType):
        return step, _drop_metadata(info.item_type)
    return step, _drop_metadata(info.value_type) if isinstance(info, inspect.DictType) else None


def _child_value(value: object, step: Step) -> object:
    """Return the value one step further in; `_NOT_FOUND` if it is not found."""
    if isinstance(value, msgspec.Raw):
        try:
            value = msgspec.json.decode(
                value, type=list[msgspec.Raw] if isinstance(step, int) else dict[str, msgspec.Raw]
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _NOT_FOUND
    try:
        return value[step] if isinstance(value, list | dict) else _NOT_FOUND  # type: ignore[index]
    except (KeyError, IndexError):
        return _NOT_FOUND


def _show_value(value: object) -> str:
    """Return the start of a value as it is written, on one line."""
    if value is _NOT_FOUND:
        return "something else"
    if isinstance(value, msgspec.Raw):
        start = bytes(memoryview(value)[: 4 * MAX_SHOWN_CHARS + 4])  # four bytes a sign at most
        return brief(start.decode("utf-8", "replace").strip(), MAX_SHOWN_CHARS)
    if isinstance(value, str):
        return brief(json.dumps(value[: MAX_SHOWN_CHARS + 1], ensure_ascii=False), MAX_SHOWN_CHARS)
    try:
        return brief(repr(value), MAX_SHOWN_CHARS)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"


def _count_entries(length: str) -> str:
    return "1 entry" if length == "1" else f"{length} entries"


def _describe_type(info: inspect.Type | None) -> str:
    """Return in words what a type admits."""
    words = _TYPE_NAMES.get(type(info), "a table of fields")
    match info:
        case inspect.IntType() | inspect.FloatType():
            words += _describe_range(info)
        case inspect.StrType(max_length=int(longest)):
            words += f" of at most {longest:,} characters"
        case inspect.ListType(max_length=int(longest)):
            words += f" of at most {longest:,} entries"
        case inspect.StructType(array_like=True, fields=fields):
            needed = sum(each.required for each in fields)
            words = f"a list of at least {_count_entries(str(needed))}"
        case inspect.LiteralType(values=values):
            words = _list_words(values)
        case inspect.UnionType(types=types):
            words = " or ".join(dict.fromkeys(map(_describe_type, types)))
    return words


def _list_words(words: Sequence[object]) -> str:
    shown = ", ".join(brief(str(each)) for each in words[:MAX_LISTED_WORDS])
    more = len(words) - MAX_LISTED_WORDS
    return f"one of {shown}" + (f" and {more} more" if more > 0 else "")


def _describe_range(info: inspect.IntType | inspect.FloatType) -> str:
    low = info.ge
    high = info.le if info.lt is None else info.lt - 1 if isinstance(info.lt, int) else info.lt
    if info.gt is not None:
        return f" above {info.gt:,}" + (f" and at most {high:,}" if high is not None else "")
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    if low is not None:
        return f" of at least {low:,}"
    return "" if high is None else f" of at most {high:,}"
