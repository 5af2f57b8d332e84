"""A SQLite file to ask questions of: rounds, drafted tokens, spans, bursts, scored text ...

The worked example of a plugin: one file, one class, nothing registered anywhere, and its name is
the file's. `specprof list exporter` shows it.

    select context / 1000 as thousand, avg(drafted.accepted) from drafted join rounds
    on rounds.number = drafted.round where reached group by thousand
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from specprof.analysis.drafts import levels
from specprof.capture import Capture
from specprof.extend import Exporter
from specprof.records import Burst, Observed, Prefill, Round, Sample, Scored

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
        """Write a fresh file in one transaction; `number` counts the rounds in it from 0."""
        path.unlink(missing_ok=True)
        rounds = [event for event in capture.events if isinstance(event, Round)]
        with closing(sqlite3.connect(path)) as file, file:
            for table, columns in TABLES.items():
                file.execute(f"create table {table} ({columns})")
            _fill(file, "run", [(msgspec.json.encode(capture.header).decode(), capture.state)])
            _fill(file, "rounds", (_round(n, one) for n, one in enumerate(rounds)))
            _fill(
                file, "drafted", (row for n, one in enumerate(rounds) for row in _drafted(n, one))
            )
            _fill(file, "spans", (row for n, one in enumerate(rounds) for row in _spans(n, one)))
            passes = [event for event in capture.events if isinstance(event, Scored)]
            _fill(file, "scored", (row for one in passes for row in _scored(one)))
            for table, kind in (("prefills", Prefill), ("bursts", Burst), ("samples", Sample)):
                _fill(file, table, (_fields(table, e) for e in capture.events if type(e) is kind))


def _fill(file: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    marks = ", ".join("?" for _ in TABLES[table].split(","))
    file.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608 - our own names


def _fields(table: str, event: object) -> Row:
    """Return the event's fields that the table's columns are named for."""
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
