"""The demands of our export formats' readers, as checks that raise AssertionError.

They come from the formats' descriptions: speedscope's file-format-spec and importer, Perfetto's
JSON importer, the regular expressions of collapsed-stack readers.
"""

import json
import re
from collections import defaultdict

import jsonschema

_PROFILE = {
    "type": "object",
    "required": ["type", "name", "unit", "startValue", "endValue"],
    "properties": {
        "name": {"type": "string"},
        "unit": {
            "enum": ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"]
        },
        "startValue": {"type": "number"},
        "endValue": {"type": "number"},
    },
}
_EVENTED = {
    "required": ["events"],
    "properties": {
        "type": {"const": "evented"},
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "frame", "at"],
                "properties": {
                    "type": {"enum": ["O", "C"]},
                    "frame": {"type": "integer", "minimum": 0},
                    "at": {"type": "number"},
                },
                "additionalProperties": False,
            },
        },
    },
}
_SAMPLED = {
    "required": ["samples", "weights"],
    "properties": {
        "type": {"const": "sampled"},
        "samples": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "weights": {"type": "array", "items": {"type": "number", "minimum": 0}},
    },
}
SPEEDSCOPE = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": {"type": "integer", "minimum": 0},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}},
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "minItems": 1,
            "items": {"allOf": [_PROFILE, {"oneOf": [_EVENTED, _SAMPLED]}]},
        },
    },
    "additionalProperties": False,
}


def check_speedscope(document: dict) -> None:
    """Check the schema, and the further errors of speedscope's importer."""
    jsonschema.validate(document, SPEEDSCOPE)
    frames = len(document["shared"]["frames"])
    assert document["activeProfileIndex"] < len(document["profiles"])
    for profile in document["profiles"]:
        check = _check_evented if profile["type"] == "evented" else _check_sampled
        check(profile, frames)


def _check_evented(profile: dict, frames: int) -> None:
    open_frames, now = [], profile["startValue"]
    for event in profile["events"]:
        assert event["at"] >= now, "times never decrease"
        assert event["frame"] < frames
        now = event["at"]
        if event["type"] == "O":
            open_frames.append(event["frame"])
        else:
            assert open_frames, "nothing is closed that was not opened"
            assert open_frames.pop() == event["frame"], "a close closes the frame on top"
    assert not open_frames, "every frame is closed"
    assert now <= profile["endValue"]


def _check_sampled(profile: dict, frames: int) -> None:
    assert len(profile["samples"]) == len(profile["weights"])
    assert all(0 <= frame < frames for stack in profile["samples"] for frame in stack)
    assert profile["endValue"] == sum(profile["weights"])


def chrome_events(text: str) -> list[dict]:
    """Return the events of a trace with an event on each line; times are in nanoseconds."""
    first, *lines, last = text.splitlines()
    assert (first, last) == ("[", "]")
    events = [json.loads(line.removesuffix(","), parse_float=_nanoseconds) for line in lines]
    assert json.loads(text)
    return events


def _nanoseconds(micros: str) -> int:
    assert re.fullmatch(r"-?\d+\.\d{3}", micros), "three decimals keep every nanosecond"
    return int(micros.replace(".", ""))


def check_chrome(events: list[dict]) -> None:
    """Check keys by phase, nesting on each track, pairs of flows, and counters."""
    needs = {
        "M": {"name", "pid", "args"},
        "X": {"name", "pid", "tid", "ts", "dur"},
        "s": {"cat", "name", "id", "pid", "tid", "ts"},
        "f": {"cat", "name", "id", "pid", "tid", "ts", "bp"},
        "C": {"name", "pid", "ts", "args"},
        "i": {"name", "pid", "tid", "ts", "s"},
    }
    by_phase = defaultdict(list)
    for event in events:
        assert needs[event["ph"]] <= event.keys()
        by_phase[event["ph"]].append(event)
    _check_nesting(by_phase["X"])
    assert not any("args" in event for event in by_phase["X"]), "arguments spoil aggregation"
    _check_flows(by_phase["s"], by_phase["f"], by_phase["X"])
    for event in by_phase["C"]:
        assert event["args"]
        assert all(type(value) in (int, float) for value in event["args"].values())


def _check_nesting(slices: list[dict]) -> None:
    tracks = defaultdict(list)
    for one in slices:
        assert one["dur"] >= 0
        tracks[one["pid"], one["tid"]].append((one["ts"], -one["dur"]))
    for track in tracks.values():
        ends = []
        for start, minus in sorted(track):
            while ends and ends[-1] <= start:
                ends.pop()
            assert not ends or start - minus <= ends[-1], "slices of a track nest"
            ends.append(start - minus)


def _check_flows(starts: list[dict], ends: list[dict], slices: list[dict]) -> None:
    key = ("cat", "name", "id")
    ids = [[tuple(event[k] for k in key) for event in side] for side in (starts, ends)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])
    on_track = {(one["tid"], one["ts"]) for one in slices}
    for start, end in zip(starts, ends, strict=True):
        assert start["ts"] <= end["ts"]
        assert {(start["tid"], start["ts"]), (end["tid"], end["ts"])} <= on_track


def collapsed_stacks(text: str) -> dict[tuple[str, ...], int]:
    """Return stack -> number, read by speedscope's regular expression."""
    stacks = {}
    for line in text.split("\n")[:-1]:
        match = re.fullmatch(r"(.*) (\d+)", line)
        assert match, line
        stack = tuple(match[1].split(";"))
        assert all(frame and not re.search(r" \d+$", frame) for frame in stack)
        assert stack not in stacks
        stacks[stack] = int(match[2])
    assert text.isprintable() or set(filter(lambda sign: not sign.isprintable(), text)) == {"\n"}
    return stacks
