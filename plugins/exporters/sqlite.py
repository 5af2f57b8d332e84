"""A SQLite file for queries: rounds, drafted tokens, spans, bursts, scored text ...

It is the example of a plug-in: one file with one class, which is registered nowhere. Its name is
the file's stem. `specprof list exporter` shows it.

    select context / 1000 as thousand, avg(drafted.accepted) from drafted join rounds
    on rounds.number = drafted.round where reached group by thousand
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from specprof.analysis.drafts import levels
from specprof.capture import Capture
from specprof.extend import Exporter
from specprof.records import Burst, Event, Observed, Prefill, Round, Sample, Scored

Row = tuple[Any, ...]
TABLES = {
    "run": "header text, state text",
    "rounds": "number integer primary key, round_index integer, burst integer, context integer, "
    "depth_asked integer, accepted integer, emitted integer, start_ns integer, wall_ns integer, "
    "target_forwards integer, draft_forwards integer, target_length integer, "
    "draft_length integer, target_kv_bytes integer, draft_kv_bytes integer, "
    "target_evicted integer, draft_evicted integer, sequence integer, shared integer",
    "drafted": "round integer references rounds, node integer, draft_index integer, "
    "parent integer, token integer, reached integer, accepted integer, "
    "target_prob real, draft_prob real, overlap real, accept_owed real, draft_rank real",
    "spans": "round integer references rounds, name text, parent text, start_ns integer, "
    "ns integer",
    "prefills": "burst integer, context integer, fed integer, start_ns integer, wall_ns integer",
    "bursts": "burst integer, start_ns integer, wall_ns integer, rounds integer, "
    "emitted integer, finish text, sequence integer",
    "scored": "context integer, nll real",
    "samples": "at_ns integer, rss_bytes integer, memory_used_bytes integer, "
    "allocated_bytes integer, reserved_bytes integer, utilisation_percent integer, "
    "power_watts real, sm_clock_mhz integer",
}


class Sqlite(Exporter):
    """Writes a capture as a SQLite file."""

    suffix: ClassVar[str] = ".sqlite"
    viewer: ClassVar[str] = "sqlite3, or any SQLite browser"
    binary: ClassVar[bool] = True

    def write(self, capture: Capture, path: Path) -> None:
        """Write a new file in one transaction; `number` counts the rounds from 0.

        Each event is written when it is read, so no event is kept in memory.
        """
        path.unlink(missing_ok=True)
        number = count()
        with closing(sqlite3.connect(path)) as file, file:
            for table, columns in TABLES.items():
                file.execute(f"create table {table} ({columns})")
            for event in capture.events:
                for table, rows in _rows(event, number):
                    _fill(file, table, rows)
            _fill(file, "run", [(msgspec.json.encode(capture.header).decode(), capture.state)])


def _rows(event: Event, number: Iterator[int]) -> Iterator[tuple[str, Iterable[Row]]]:
    """Yield each table for which an event has rows, with the rows."""
    match event:
        case Round():
            which = next(number)
            yield "rounds", [_round(which, event)]
            yield "drafted", _drafted(which, event)
            yield "spans", _spans(which, event)
        case Scored():
            yield "scored", _scored(event)
        case Prefill() | Burst() | Sample():
            table = f"{type(event).__name__.lower()}s"
            yield table, [_fields(table, event)]


def _fill(file: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    marks = ", ".join("?" for _ in TABLES[table].split(","))
    file.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608 - our own names


def _fields(table: str, event: object) -> Row:
    """Return the event's fields, in the order of the table's columns of the same names."""
    return tuple(getattr(event, column.split()[0]) for column in TABLES[table].split(","))


def _round(number: int, one: Round) -> Row:
    counts = (one.index, one.burst, one.context, one.depth_asked, one.accepted, len(one.emitted))
    times = (one.start_ns, one.wall_ns, one.target_forwards, one.draft_forwards)
    cache = (one.target_length, one.draft_length, one.target_kv_bytes, one.draft_kv_bytes)
    held = (one.target_evicted, one.draft_evicted, one.sequence, one.shared)
    return (number, *counts, *times, *cache, *held)


def _drafted(number: int, one: Round) -> Iterable[Row]:
    level = levels(one.drafted)
    for node, each in enumerate(one.drafted):
        seen: Sequence[float | None] = (None,) * len(Observed.__struct_fields__)
        if each.seen:
            seen = msgspec.structs.astuple(each.seen)
        place = (number, node, level[node], each.parent, each.token)
        yield (*place, each.reached, each.accepted, *seen)


def _scored(one: Scored) -> Iterable[Row]:
    return ((one.context + place, nll) for place, nll in enumerate(one.nll))


def _spans(number: int, one: Round) -> Iterable[Row]:
    return ((number, span.name, span.parent, span.start_ns, span.ns) for span in one.spans)
