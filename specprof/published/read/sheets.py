"""Tables as text, from a file of any known format: a heading over every column, and rows of cells.

Knows the formats, not what the columns mean. Numbers stay as they were written, because their
digits show how they were rounded.
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
CAPTURE_PREFIX = b'{"event":'
MAX_FILE_BYTES = 8 * 2**20
MAX_COLUMNS, MAX_TABLES, MAX_CELLS, MAX_ROWS = 4096, 1000, 1 << 20, 50_000
"""Bounds: columns of a table, tables of a file, cells of a table with all rows filled up, rows of a
table."""
_RULED_LINE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
_PIPE_STAND_IN = "\x00"
"""Stands for an escaped pipe while a line is split; it is removed from the file's own text."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table as it was written."""

    name: str
    headings: list[str]
    rows: list[list[str]]
    """Every row has one cell per heading; an absent cell is empty."""


def is_table(path: Path) -> bool:
    """Whether to read a file as a table: its name says so, and it doesn't begin like a capture."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with open_regular(path) as file:
            return not file.read(len(CAPTURE_PREFIX)).startswith(CAPTURE_PREFIX)
    except OSError:
        return True


def read_sheets(path: Path) -> list[Sheet]:
    """Read every table in a file.

    Raises UsageError where there is no table or too much of one, CaptureUnreadable where the file
    can't be read or its content isn't of the format that its name says.
    """
    suffix = path.suffix.lower()
    readers = {".toml": _read_toml, ".json": _read_json, ".csv": _read_csv, ".tsv": _read_csv}
    read = readers.get(suffix, _read_markdown)
    sheets = list[_Table]()
    try:
        for sheet in read(_read_file(path)):
            sheets.append(sheet)
            _refuse_more(len(sheets), MAX_TABLES, "tables")
    except _TooMany as error:
        raise UsageError(f"{path} {error}", "keep only the rows to judge") from None
    except (ValueError, RecursionError, csv.Error) as error:
        title = f"{path} is no valid {suffix.lstrip('.')}: {type(error).__name__}: {error}"
        raise CaptureUnreadable(title, "mend it, or name it by its real format") from error
    found = [(headings, rows) for headings, rows in sheets if headings and rows]
    if not found:
        title = f"{path} holds no table"
        raise UsageError(title, "give a row of headings, then a row for each run")
    return [
        Sheet(f"{path} (table {number})" if len(found) > 1 else str(path), headings, rows)
        for number, (headings, rows) in enumerate(found, start=1)
    ]


_Table = tuple[list[str], list[list[str]]]


class _TooMany(Exception):
    """A file holds more tables, columns, rows or cells than the bounds allow."""


def _refuse_more(found: int, most: int, what: str) -> None:
    if found > most:
        raise _TooMany(f"has more than {most:,} {what}")


def _refuse_large(columns: int, rows: int) -> None:
    """Raise _TooMany where a table exceeds the bounds, before it is laid out."""
    _refuse_more(columns, MAX_COLUMNS, "columns in a table")
    _refuse_more(rows, MAX_ROWS, "rows in a table")
    _refuse_more(columns * rows, MAX_CELLS, "cells in a table")


def _read_file(path: Path) -> str:
    try:
        return read_text(path, MAX_FILE_BYTES, "utf-8-sig")
    except OSError as error:
        if error.errno == errno.EFBIG:
            title = f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB"
            raise UsageError(title, "keep only the rows to judge") from error
        title = f"{path} can't be read: {error.strerror}"
        raise CaptureUnreadable(title, "give a text file") from error
    except UnicodeDecodeError as error:
        raise CaptureUnreadable(f"{path} can't be read: {error}", "is it text?") from error


def _read_toml(text: str) -> Iterator[_Table]:
    refuse_deep_keys(text)
    return _find_tables(tomllib.loads(text, parse_float=str))


def _read_json(text: str) -> Iterator[_Table]:
    return _find_tables(json.loads(text, parse_float=str))


def _read_csv(text: str) -> Iterator[_Table]:
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    lines = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if not lines:
        return
    _refuse_large(len(lines[0]), len(lines))
    for number, line in enumerate(lines[1:], start=1):
        if any(line[len(lines[0]) :]):
            title = f"row {number} has {len(line)} cells under {len(lines[0])} headings"
            raise ValueError(f"{title}; quote cells that hold the separator {delimiter!r}")
    yield lines[0], _fill_rows(lines[1:], len(lines[0]))


def _read_markdown(text: str) -> Iterator[_Table]:
    """Yield every pipe table: a line of headings, a ruled line, rows."""
    lines = text.splitlines()
    for at, line in enumerate(lines[1:], start=1):
        headings = _split_line(lines[at - 1])
        if "|" in line and _RULED_LINE.fullmatch(line) and len(_split_line(line)) == len(headings):
            rows = list[list[str]]()
            for below in lines[at + 1 :]:
                if "|" not in below:
                    break
                rows.append(_split_line(below))
            _refuse_large(len(headings), len(rows))
            yield headings, _fill_rows(rows, len(headings))


def _split_line(line: str) -> list[str]:
    """Split a line at its pipes; an escaped pipe belongs to its cell."""
    inner = line.replace(_PIPE_STAND_IN, "").replace("\\|", _PIPE_STAND_IN).strip()
    cells = inner.removeprefix("|").removesuffix("|").split("|")
    return [cell.replace(_PIPE_STAND_IN, "|").strip() for cell in cells]


def _find_tables(made: object) -> Iterator[_Table]:
    """Yield the tables of a document: a list of rows, lists of rows, columns, or rows by name."""
    if isinstance(made, list):
        rows = [each for each in made if isinstance(each, dict)]
        if rows:
            yield _lay_out_rows(rows)
    elif isinstance(made, dict):
        lists = [each for each in made.values() if isinstance(each, list)]
        if _is_by_columns(made):
            _refuse_large(len(made), len(next(iter(made.values()))))
            yield (
                list(made),
                [list(map(_cell_text, cells)) for cells in zip(*made.values(), strict=True)],
            )
        elif lists:
            for each in lists:
                yield from _find_tables(each)
        elif made and all(isinstance(each, dict) for each in made.values()):
            yield _lay_out_rows([{"name": name, **row} for name, row in made.items()])
        elif made:
            yield _lay_out_rows([made])


def _is_by_columns(made: Mapping[str, Any]) -> bool:
    """Whether a document is a table by columns: lists of plain values, of one length."""
    lists = [each for each in made.values() if isinstance(each, list)]
    plain = all(not isinstance(cell, (list, dict)) for each in lists for cell in each)
    return len(lists) == len(made) > 0 and plain and len({len(each) for each in lists}) == 1


def _lay_out_rows(rows: Sequence[Mapping[str, Any]]) -> _Table:
    """Lay out rows with any keys under one line of headings, in the keys' order of appearance."""
    flat = [dict(_flatten_row(row)) for row in rows]
    headings = list(dict.fromkeys(key for row in flat for key in row))
    _refuse_large(len(headings), len(flat))
    return headings, [[_cell_text(row.get(key)) for key in headings] for row in flat]


def _flatten_row(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a row's plain values. A list's values get the key and a number from 1: `c 1`, `c 2`."""
    for key, value in row.items():
        if isinstance(value, list):
            yield from ((f"{key} {i}", each) for i, each in enumerate(value, start=1))
        elif isinstance(value, dict):
            yield from ((str(inner), each) for inner, each in value.items())
        else:
            yield str(key), value


def _cell_text(value: object) -> str:
    return "" if value is None else str(value)


def _fill_rows(rows: Iterable[Sequence[str]], width: int) -> list[list[str]]:
    return [[*row, *[""] * width][:width] for row in rows]
