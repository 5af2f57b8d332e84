"""Ways to damage a file of lines, as hypothesis strategies: by a disk, a network or an attacker.

A file is a list of lines with their ends. Some edits treat a line as bytes, some as a JSON
document, some as words. Each edit is plain data, so that a found input can be shown and made again.
Places are drawn as large numbers and taken modulo the file's size, so an edit fits every file.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from hypothesis import strategies as st

Lines = list[bytes]
Path = tuple[str | int, ...]
MAX_PLACE = 999
MAX_LINE_BYTES = 20_000
"""Length of a line that is changed as a document, or of a text that is searched for words. Longer
lines and texts were made by an earlier edit."""
WORD = re.compile(r"[A-Za-z_]+|-?\d+(?:\.\d+)?|[^\w\s]")
NUMBERS = (
    *(0, -1, 1, 2, 3, 7, 100, 10**6, 4 * 10**8, 10**9, -(10**9)),
    *(2**31, 2**32, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), 2**63, 2**64, 10**30),
    *(0.5, -0.5, 1.5, 2.0, -0.0, 5e-324, 1e-300, 1e15, 1e154, 1e300, 1e308, -1e308),
    *(float("nan"), float("inf")),
)
TEXTS = (
    *("", " ", "none", "nan", "pocket/target", "pocket/draft", "~nosuchuser/m", "../../x", "/"),
    *("\x00", "\x1b[31m\x1b]52;c;QQ\x07", "\u202e\u2028", "=cmd|'/C calc'!A1", "[bold]@x[/]"),
    *("<script>", "%0A::error::x", "\ud800", "x" * 300, "1e999"),
    *("round", "end", "native", "greedy", "walk"),
)
OTHERS = (None, True, False, [], {}, [[]], {"x": 1}, [0], [-1, 2**53], ["x", None])
LIKE: dict[type, tuple[object, ...]] = {
    bool: (True, False),
    int: tuple(each for each in NUMBERS if isinstance(each, int)),
    float: tuple(each for each in NUMBERS if abs(each) < float("inf")),
    str: TEXTS,
    type(None): (None, 0, 1.0, "x", []),
}
"""Type of a value -> values that a reader may accept in its place."""
SCALES = (-1, 0, 2, 1000, 10**6, 0.5)
DEPTHS = (3, 200, 3_000, 100_000)
values = st.one_of(
    st.sampled_from((*NUMBERS, *TEXTS, *OTHERS)),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(max_size=6),
)
places = st.integers(0, MAX_PLACE)


@dataclass(frozen=True)
class Whole:
    """Loses, doubles, moves, overwrites, cuts or joins a line, or ends the file inside it."""

    how: str
    at: int
    other: int

    def __call__(self, lines: Lines) -> Lines:
        """Return the damaged lines; the first is spared, because no capture is read without it."""
        if len(lines) < 2:
            return lines
        at, made = 1 + self.at % (len(lines) - 1), list(lines)
        line = made[at]
        match self.how:
            case "lost":
                del made[at]
            case "doubled":
                made.insert(at, line)
            case "moved":
                made.insert(1 + self.other % (len(lines) - 1), made.pop(at))
            case "overwritten":
                made[at] = b"\x00" * (len(line) - 1) + b"\n"
            case "cut":
                made[at] = line[: self.other % max(len(line), 1)].rstrip(b"\n") + b"\n"
            case "ended":
                made[at:] = [line[: self.other % max(len(line), 1)]]
            case "joined":
                made[at : at + 2] = [line.rstrip(b"\n"), *made[at + 1 : at + 2]]
        return made


@dataclass(frozen=True)
class AllLines:
    """Doubles all lines but the first, or reverses their order."""

    how: str

    def __call__(self, lines: Lines) -> Lines:
        """Return the lines doubled or reversed."""
        if self.how == "reversed":
            return [*lines[:1], *lines[:0:-1]]
        return [*lines[:1], *(each for each in lines[1:] for _ in range(2))]


WHOLE = ("lost", "doubled", "moved", "overwritten", "cut", "ended", "joined")


@dataclass(frozen=True)
class Byte:
    """Replaces some bytes."""

    at: int
    by: bytes
    over: int

    def __call__(self, lines: Lines) -> Lines:
        """Return the lines with `over` bytes replaced, from a place on."""
        joined = b"".join(lines)
        start = self.at * max(len(joined), 1) // (MAX_PLACE + 1)
        return (joined[:start] + self.by + joined[start + self.over :]).splitlines(keepends=True)


@dataclass(frozen=True)
class Node:
    """Changes one place of a JSON document, in one line or in all lines of its kind."""

    how: str
    at: int
    leaf: int
    value: object
    everywhere: bool
    other: int = 0

    def __call__(self, lines: Lines) -> Lines:
        """Return the lines with the place changed; a line that is no document stays."""
        if not lines:
            return lines
        at = self.at % len(lines)
        paths = _paths(lines[at])
        if not paths:
            return lines
        path, kind = paths[self.leaf % len(paths)], _kind(lines[at])
        made = list(lines)
        for number, line in enumerate(lines):
            if number == at or (self.everywhere and _kind(line) == kind):
                made[number] = self._changed(line, path)
        return made

    def _changed(self, line: bytes, path: Path) -> bytes:
        try:
            whole = json.loads(line)
            holder = whole
            for step in path[:-1]:
                holder = holder[step]
            self._change(holder, path[-1])
            text = json.dumps(whole, separators=(",", ":"))
        except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
            return line  # it is no document, or has no such place
        return self._nested(text).encode() + b"\n"

    def _change(self, holder: "dict[str, object] | list[object]", key: str | int) -> None:
        before = holder[key]  # type: ignore[index,call-overload]
        match self.how, before:
            case "like", bool() | int() | float() | str() | None:
                alike = LIKE[type(before)]
                holder[key] = alike[self.other % len(alike)]  # type: ignore[index,call-overload]
            case "dropped", _:
                del holder[key]  # type: ignore[arg-type]
            case "scaled", int() | float() if isinstance(self.value, int | float):
                holder[key] = type(before)(before * self.value)  # type: ignore[index,call-overload]
            case "stretched", list():
                before *= self.leaf % 4
            case "cut short", list() if before:
                del before[self.leaf % len(before) :]
            case "nested", _:
                holder[key] = _HOLE  # type: ignore[index,call-overload]
            case _:
                holder[key] = self.value  # type: ignore[index,call-overload]

    def _nested(self, text: str) -> str:
        if self.how != "nested":
            return text
        depth = DEPTHS[self.leaf % len(DEPTHS)]
        return text.replace(f'"{_HOLE}"', "[" * depth + "]" * depth)


_HOLE = "hole"


@dataclass(frozen=True)
class Word:
    """Replaces, removes or doubles one word, number or sign of a text."""

    at: int
    by: str | None

    def __call__(self, lines: Lines) -> Lines:
        """Return the lines with the word replaced by `by`; None doubles it."""
        text = b"".join(lines).decode("utf-8", "surrogateescape")
        found = list(WORD.finditer(text, 0, MAX_LINE_BYTES))
        if not found:
            return lines
        word = found[self.at % len(found)]
        by = word.group() * 2 if self.by is None else self.by
        made = text[: word.start()] + by + text[word.end() :]
        return made.encode("utf-8", "surrogateescape").splitlines(keepends=True)


@dataclass(frozen=True)
class Assigned:
    """Replaces the right side of one line `key = value`."""

    at: int
    by: str

    def __call__(self, lines: Lines) -> Lines:
        """Return the lines with that value replaced."""
        places = [number for number, line in enumerate(lines) if b" = " in line]
        if not places:
            return lines
        at, made = places[self.at % len(places)], list(lines)
        made[at] = made[at].partition(b" = ")[0] + b" = " + self.by.encode() + b"\n"
        return made


Edit = Callable[[Lines], Lines]
whole: st.SearchStrategy[Edit] = st.builds(Whole, st.sampled_from(WHOLE), places, places)
"""Damage to whole lines, which does not change the other lines."""
whole_files: st.SearchStrategy[Edit] = st.builds(AllLines, st.sampled_from(("doubled", "reversed")))
raw = st.builds(Byte, places, st.binary(max_size=6), st.integers(0, 9))
nodes = st.one_of(
    st.builds(Node, st.just("like"), places, places, st.none(), st.booleans(), places),
    st.builds(Node, st.just("set"), places, places, values, st.booleans()),
    st.builds(Node, st.just("scaled"), places, places, st.sampled_from(SCALES), st.booleans()),
    st.builds(
        Node,
        st.sampled_from(("dropped", "stretched", "cut short", "nested")),
        *(places, places, st.none(), st.booleans()),
    ),
)
SAID = (
    *(str(each) for each in NUMBERS),
    *(json.dumps(each) for each in (*TEXTS, *OTHERS) if "\\ud" not in json.dumps(each)),
    *(each for each in TEXTS if each.isprintable()),
    *("[" * 2_000, '"""', "''", "2026-01-01", "1_000", "0x10", "50 %", "3 ± 1", "1,5", "-", "\n"),
)
ASSIGNED = (
    *(str(each) for each in NUMBERS),
    *(json.dumps(each) for each in TEXTS if each.isprintable()),
    *("true", "false", "[]", "[1, 2]", '["native", "hf-assisted"]', "[4, 2, 8]", "{}", "{ x = 1 }"),
    *('"auto"', '["auto"]', '"walk"', '"ppl"', '"static-tree"', '"sink-window"', "[[1]]", "1e9"),
)
assigned = st.builds(Assigned, places, st.sampled_from(ASSIGNED))
words = st.builds(Word, places, st.one_of(st.none(), st.sampled_from(SAID)))


def apply_edits(lines: Lines, edits: list[Edit]) -> bytes:
    """Return the file after these edits, made one after another."""
    for edit in edits:
        lines = edit(lines)
    return b"".join(lines)


def _kind(line: bytes) -> bytes:
    """Return the beginning of a line, which names an event's kind: `{"event":"round"`."""
    return line.partition(b",")[0]


@lru_cache(maxsize=4096)
def _paths(line: bytes) -> tuple[Path, ...]:
    """Return the path of every value in a line's document; none if the line is no document."""
    if len(line) > MAX_LINE_BYTES:
        return ()
    try:
        return tuple(_walk(json.loads(line), ()))
    except (ValueError, RecursionError):
        return ()


def _walk(value: object, path: Path) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, each in inner:
        yield (*path, key)
        yield from _walk(each, (*path, key))
