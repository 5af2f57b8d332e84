"""Texts that attack what shows them, captures full of them, and checks of every sink."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec

import captures
from specprof.records import Event

PAYLOADS = {
    "colour": "\x1b[31mRED",
    "title": "\x1b]0;TITLE\x07",
    "clipboard": "\x1b]52;c;cHduZWQ=\x07",
    "C1 controls": "\x9b31m\x85",
    "markup": "[red]X[/red][@click=app.quit]Q[/]",
    "link": "[link=file:///etc/passwd]L[/link]",
    "formula": "=cmd|' /C calc'!A1",
    "other formulas": "+1\t-1\t@SUM(A1)",
    "annotation": "\n::error file=x::INJ",
    "escaped line end": "%0A::stop-commands::x",
    "line ends": "\r\n\u2028\u2029\v\f",
    "direction": "\u202eRTL\u2066",
    "no width": "\u200bZW\u200d\ufeff",
    "page": "</script><script>alert(1)</script>",
    "shell": "`$(id)`;|&",
    "nothing": "\x00\x7f",
    "format": "{0}%s%n",
}
ALL = "".join(PAYLOADS.values())
FILE_NAME = "run" + ALL.replace("/", "").replace("\x00", "")[:120] + ".jsonl"
"""A capture's name of at most 255 bytes."""


def poison(event: Event, text: str) -> Event:
    """Return the event with `text` in the place of every free text in it."""
    written = msgspec.to_builtins(event)
    for place in list(_texts(written, ())):
        tried = _replace_text(written, place, text)
        try:
            msgspec.convert(tried, type(event))
        except msgspec.ValidationError:  # the field takes a few words only
            continue
        written = tried
    return msgspec.convert(written, type(event))


def write_capture(path: Path, text: str, **settings: object) -> Path:
    """Write a capture in which every free text is `text`."""
    header, *rest = captures.events(**settings)
    kept = {"backend", "drafter", "shape", "depth_policy", "acceptance", "cache"}
    poisoned_header = poison(header, text)
    own = {field: getattr(header.spec.settings, field) for field in kept}
    spec = poisoned_header.spec
    spec = msgspec.structs.replace(spec, settings=msgspec.structs.replace(spec.settings, **own))
    poisoned_header = msgspec.structs.replace(poisoned_header, spec=spec)
    return captures.write(path, [poisoned_header, *(poison(each, text) for each in rest)])


def _texts(value: Any, place: tuple[str | int, ...]):
    match value:
        case str() if place and place[-1] != "event":
            yield place
        case dict():
            for key, each in value.items():
                yield from _texts(each, (*place, key))
        case list() | tuple():
            for key, each in enumerate(value):
                yield from _texts(each, (*place, key))


def _replace_text(value: Any, place: tuple[str | int, ...], text: str) -> Any:
    if not place:
        return text
    key, *rest = place
    if isinstance(value, dict):
        return {**value, key: _replace_text(value[key], tuple(rest), text)}
    return [
        _replace_text(each, tuple(rest), text) if n == key else each for n, each in enumerate(value)
    ]


def check_lines(text: str) -> None:
    """No sign of it steers a terminal: printable, but for the ends of lines."""
    odd = {sign for sign in text.replace("\r\n", "\n") if not sign.isprintable()} - {"\n"}
    assert not odd, odd


def check_json(text: str) -> None:
    """One document, as harmless on a terminal as any line."""
    check_lines(text)
    json.loads(text)


def check_csv(text: str) -> None:
    """No cell is a formula: what begins like one is a number."""
    check_lines(text)
    for cell in (cell for row in csv.reader(io.StringIO(text)) for cell in row):
        if cell.lstrip().startswith(("=", "+", "-", "@")):
            float(cell)


def check_annotations(text: str) -> None:
    """Every line is a command of ours, and none of another's is in it."""
    check_lines(text)
    for line in text.splitlines():
        assert line.startswith(("::error file=", "::warning file=", "::notice file="))
        keys = [each.partition("=")[0] for each in line.split("::")[1].split(",")]
        assert keys in (["error file", "line", "title"], ["warning file", "line", "title"],
                        ["notice file", "line", "title"])  # fmt: skip
