"""Tables as text: a heading over every column and rows of cells, out of whatever file holds them.

Knows the formats, not what the columns mean. Numbers stay as they were written, because their
digits say how far they were rounded.
"""

import csv
import errno
import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specprof.errors import CaptureUnreadable, UsageError
from specprof.reading import open_regular, read_text, refuse_deep_keys

SUFFIXES = (".toml", ".csv", ".tsv", ".json", ".md", ".markdown")
CAPTURE = b'{"event":'
LARGEST_BYTES = 8 * 2**20
MOST_COLUMNS, MOST_TABLES, MOST_CELLS, MOST_ROWS = 4096, 1000, 1 << 20, 50_000
"""Columns of a table, tables of a file, cells of a table with short rows filled up, rows of it."""
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
_HOLD = "\x00"
"""Stands for an escaped pipe while a line is split; no file's own text keeps it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table as it was written."""

    name: str
    headings: list[str]
    rows: list[list[str]]
    """As many cells as headings each; an absent one is empty."""


def is_table(path: Path) -> bool:
    """Whether a file is to be read as a table: by its name, unless it begins like a capture."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with open_regular(path) as file:
            return not file.read(len(CAPTURE)).startswith(CAPTURE)
    except OSError:
        return True


def read_sheets(path: Path) -> list[Sheet]:
    """Read every table in a file.

    Raises UsageError where there is none or the format isn't known, CaptureUnreadable where the
    file can't be read or isn't what its name says.
    """
    suffix = path.suffix.lower()
    readers = {".toml": _toml, ".json": _json, ".csv": _csv, ".tsv": _csv}
    read = readers.get(suffix, _markdown)
    sheets = list[_Read]()
    try:
        for sheet in read(_text(path)):
            sheets.append(sheet)
            _refuse_more(len(sheets), MOST_TABLES, "tables")
    except _TooMany as error:
        raise UsageError(f"{path} {error}", "keep what is to be judged") from None
    except (ValueError, RecursionError, csv.Error) as error:
        title = f"{path} is no {suffix.lstrip('.')}: {type(error).__name__}: {error}"
        raise CaptureUnreadable(title, "name it by its format") from error
    found = [(headings, rows) for headings, rows in sheets if headings and rows]
    if not found:
        title = f"{path} holds no table"
        raise UsageError(title, "give a row of headings, then a row for each run")
    return [
        Sheet(f"{path} (table {number})" if len(found) > 1 else str(path), headings, rows)
        for number, (headings, rows) in enumerate(found, start=1)
    ]


_Read = tuple[list[str], list[list[str]]]


class _TooMany(Exception):
    """A file holds more of something than anybody reads."""


def _refuse_more(found: int, most: int, what: str) -> None:
    if found > most:
        raise _TooMany(f"has more than {most:,} {what}")


def _fits(columns: int, rows: int) -> None:
    """Raise _TooMany where a table is larger than anybody reads, before it is laid out."""
    _refuse_more(columns, MOST_COLUMNS, "columns in a table")
    _refuse_more(rows, MOST_ROWS, "rows in a table")
    _refuse_more(columns * rows, MOST_CELLS, "cells in a table")


def _text(path: Path) -> str:
    try:
        return read_text(path, LARGEST_BYTES, "utf-8-sig")
    except OSError as error:
        if error.errno == errno.EFBIG:
            title = f"{path} is larger than {LARGEST_BYTES // 2**20} MiB"
            raise UsageError(title, "keep the rows that are to be judged") from error
        title = f"{path} can't be read: {error.strerror}"
        raise CaptureUnreadable(title, "give a file of text") from error
    except UnicodeDecodeError as error:
        raise CaptureUnreadable(f"{path} can't be read: {error}", "is it text?") from error


def _toml(text: str) -> Iterator[_Read]:
    refuse_deep_keys(text)
    return _records(tomllib.loads(text, parse_float=str))


def _json(text: str) -> Iterator[_Read]:
    return _records(json.loads(text, parse_float=str))


def _csv(text: str) -> Iterator[_Read]:
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    lines = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if not lines:
        return
    _fits(len(lines[0]), len(lines))
    for number, line in enumerate(lines[1:], start=1):
        if any(line[len(lines[0]) :]):
            title = f"row {number} has {len(line)} cells under {len(lines[0])} headings"
            raise ValueError(f"{title}; quote cells that hold the separator {delimiter!r}")
    yield lines[0], _even(lines[1:], len(lines[0]))


def _markdown(text: str) -> Iterator[_Read]:
    """Yield every pipe table: a line of headings, a ruled line, rows."""
    lines = text.splitlines()
    for at, line in enumerate(lines[1:], start=1):
        headings = _piped(lines[at - 1])
        if "|" in line and _RULE.fullmatch(line) and len(_piped(line)) == len(headings):
            rows = list[list[str]]()
            for below in lines[at + 1 :]:
                if "|" not in below:
                    break
                rows.append(_piped(below))
            _fits(len(headings), len(rows))
            yield headings, _even(rows, len(headings))


def _piped(line: str) -> list[str]:
    """Split a line at its pipes; an escaped one is a sign of the cell."""
    inner = line.replace(_HOLD, "").replace("\\|", _HOLD).strip()
    cells = inner.removeprefix("|").removesuffix("|").split("|")
    return [cell.replace(_HOLD, "|").strip() for cell in cells]


def _records(made: object) -> Iterator[_Read]:
    """Yield a list of rows, or each such list in a document; else rows named by their keys."""
    if isinstance(made, list):
        rows = [each for each in made if isinstance(each, dict)]
        if rows:
            yield _ruled(rows)
    elif isinstance(made, dict):
        lists = [each for each in made.values() if isinstance(each, list)]
        if _columns(made):
            _fits(len(made), len(next(iter(made.values()))))
            yield (
                list(made),
                [list(map(_told, cells)) for cells in zip(*made.values(), strict=True)],
            )
        elif lists:
            for each in lists:
                yield from _records(each)
        elif made and all(isinstance(each, dict) for each in made.values()):
            yield _ruled([{"name": name, **row} for name, row in made.items()])
        elif made:
            yield _ruled([made])


def _columns(made: Mapping[str, Any]) -> bool:
    """Whether a document is a table by columns: lists of one length, of plain values."""
    lists = [each for each in made.values() if isinstance(each, list)]
    plain = all(not isinstance(cell, (list, dict)) for each in lists for cell in each)
    return len(lists) == len(made) > 0 and plain and len({len(each) for each in lists}) == 1


def _ruled(rows: Sequence[Mapping[str, Any]]) -> _Read:
    """Lay rows of any keys under one line of headings, in the order the keys first come."""
    flat = [dict(_flat(row)) for row in rows]
    headings = list(dict.fromkeys(key for row in flat for key in row))
    _fits(len(headings), len(flat))
    return headings, [[_told(row.get(key)) for key in headings] for row in flat]


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the plain values; of a list of rates by draft index, one a number from 1."""
    for key, value in row.items():
        if isinstance(value, list):
            yield from ((f"{key} {i}", each) for i, each in enumerate(value, start=1))
        elif isinstance(value, dict):
            yield from ((str(inner), each) for inner, each in value.items())
        else:
            yield str(key), value


def _told(value: object) -> str:
    return "" if value is None else str(value)


def _even(rows: Iterable[Sequence[str]], width: int) -> list[list[str]]:
    return [[*row, *[""] * width][:width] for row in rows]
