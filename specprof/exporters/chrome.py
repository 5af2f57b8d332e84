"""Chrome trace events: every round on a timeline with its counters, for Perfetto.

The file is in the array form, one event a line, so that even a cut file opens. Draft and target
have their own tracks, separate for each sequence of a batch. Arrows lead from each draft to its
verification. Values that vary (accepted tokens, KV bytes, memory) are counters, because arguments
on slices prevent aggregation.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from specprof.capture import Capture
from specprof.exporters._slices import RUN, Slice, timeline
from specprof.extend import Exporter
from specprof.plain import as_json, escape_json
from specprof.records import Burst, Note, Round, Sample, Scored

HOST, DRAFT, TARGET = 1, 2, 3
TRACKS = {HOST: "host", DRAFT: "draft model", TARGET: "target model"}
TRACK_OF = {"draft": DRAFT, "prefill-draft": DRAFT, "verify": TARGET, "prefill-target": TARGET}
Json = dict[str, Any]


class Chrome(Exporter):
    """Writes a capture as Chrome trace events."""

    suffix: ClassVar[str] = ".trace.json"
    viewer: ClassVar[str] = "https://ui.perfetto.dev (the file stays in your browser)"

    def write(self, capture: Capture, path: Path) -> None:
        """Write one event a line, between brackets."""
        with path.open("wb") as file:
            before = b"[\n"
            for event in _events(capture):
                file.write(before + escape_json(as_json({**event, "pid": 1})))
                before = b",\n"
            file.write(b"\n]\n")


def _events(capture: Capture) -> Iterator[Json]:
    yield _metadata_event("process_name", f"specprof {capture.header.spec.id}")
    lanes, ns = timeline(capture)
    run, number = list[Json](), count()
    for sequence, lane in lanes.items():
        whose = f", sequence {sequence}" if len(lanes) > 1 else ""
        for track, name in TRACKS.items():
            yield {
                **_metadata_event("thread_name", name + whose),
                "tid": track + sequence * len(TRACKS),
            }
        for one in lane:
            events = [*_slice_events(one, HOST), *_arrow_events(one, next(number))]
            run += [{**event, "tid": event["tid"] + sequence * len(TRACKS)} for event in events]
            run += _round_counters(one, whose)
    yield from _slice_events(Slice(RUN, 0, ns), HOST)
    yield from run
    for event in capture.events:
        if isinstance(event, Sample):
            yield from _memory_counter(event)
        elif isinstance(event, Note):
            yield _instant_event(event.text, event.at_ns)
        elif isinstance(event, Burst):
            yield _instant_event(f"burst ended: {event.finish}", event.start_ns + event.wall_ns)


def _slice_events(one: Slice, track: int) -> Iterator[Json]:
    yield {
        "ph": "X",
        "cat": "time",
        "name": one.name,
        "tid": track,
        "ts": _micros(one.start_ns),
        "dur": _micros(one.ns),
    }
    for child in one.children:
        yield from _slice_events(child, TRACK_OF.get(child.name, track))


def _arrow_events(one: Slice, number: int) -> Iterator[Json]:
    """Yield the two ends of the arrow from a round's draft to its verification."""
    draft = next((child for child in one.children if child.name == "draft"), None)
    if draft is None or not draft.ns:
        return
    later = (child for child in one.children if child.start_ns >= draft.end_ns)
    verify = next((child for child in later if child.name == "verify"), None)
    if verify is None:
        return
    arrow = {"cat": "round", "name": "draft to verify", "id": number}
    yield {"ph": "s", **arrow, "tid": DRAFT, "ts": _micros(draft.start_ns)}
    yield {"ph": "f", "bp": "e", **arrow, "tid": TARGET, "ts": _micros(verify.start_ns)}


def _round_counters(one: Slice, whose: str) -> Iterator[Json]:
    if isinstance(one.event, Scored):
        held = {"target_bytes": one.event.target_kv_bytes}
        yield from _counter("KV cache", one.end_ns, held)
    if not isinstance(event := one.event, Round):
        return
    tokens = {
        "accepted": event.accepted,
        "drafted": len(event.drafted),
        "depth asked": event.depth_asked,
    }
    yield from _counter(f"tokens of the round{whose}", one.end_ns, tokens)
    dropped = {"target": event.target_evicted, "draft": event.draft_evicted}
    yield from _counter(f"tokens dropped{whose}", one.end_ns, dropped)
    cache = {"target_bytes": event.target_kv_bytes, "draft_bytes": event.draft_kv_bytes}
    yield from _counter(f"KV cache{whose}", one.end_ns, cache)


def _memory_counter(sample: Sample) -> Iterator[Json]:
    memory = {
        "process_bytes": sample.rss_bytes,
        "device_used_bytes": sample.memory_used_bytes,
        "allocated_bytes": sample.allocated_bytes,
        "reserved_bytes": sample.reserved_bytes,
    }
    yield from _counter("memory", sample.at_ns, memory)


def _counter(name: str, at_ns: int, values: Mapping[str, int | None]) -> Iterator[Json]:
    """Yield a counter of the known values; no counter if none is known, as viewers reject it."""
    if known := {key: value for key, value in values.items() if value is not None}:
        yield {"ph": "C", "name": name, "ts": _micros(at_ns), "args": known}


def _instant_event(name: str, at_ns: int) -> Json:
    return {"ph": "i", "s": "t", "cat": "note", "name": name, "tid": HOST, "ts": _micros(at_ns)}


def _metadata_event(what: str, name: str) -> Json:
    return {"ph": "M", "name": what, "args": {"name": name}}


def _micros(ns: int) -> msgspec.Raw:
    """Return microseconds with three decimals: a float would lose nanoseconds after hours."""
    sign = "-" if ns < 0 else ""
    return msgspec.Raw(f"{sign}{abs(ns) // 1000}.{abs(ns) % 1000:03d}".encode())
