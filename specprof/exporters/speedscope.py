"""speedscope: time by phase over the whole run, then the timeline, as flame graphs.

The file holds two profiles: first the sum over all rounds, which most users want, then the
timeline. A batch has one timeline per sequence.
Follows speedscope's published file format (src/lib/file-format-spec.ts of jlfwong/speedscope).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from specprof.capture import Capture
from specprof.exporters._slices import RUN, Slice, Timeline, timeline
from specprof.exporters.collapsed import stacks
from specprof.extend import Exporter
from specprof.plain import as_json, escape_json
from specprof.version import __version__

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
Json = dict[str, Any]


class Speedscope(Exporter):
    """Writes the time of a capture as a speedscope file."""

    suffix: ClassVar[str] = ".speedscope.json"
    viewer: ClassVar[str] = "https://www.speedscope.app (the file stays in your browser)"

    def write(self, capture: Capture, path: Path) -> None:
        """Write the aggregate and the timelines of one run."""
        name = capture.header.spec.id
        frames, run = _Frames(), timeline(capture)
        profiles = [_aggregate(run, frames), *_timelines(run, frames)]
        document = {
            "$schema": SCHEMA,
            "exporter": f"specprof@{__version__}",
            "name": f"specprof {name}",
            "activeProfileIndex": 0,
            "shared": {"frames": [{"name": frame} for frame in frames]},
            "profiles": profiles,
        }
        path.write_bytes(escape_json(as_json(document)))


class _Frames(dict[str, int]):
    """Frame name -> its index; names get indices in the order of first use."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def _aggregate(run: Timeline, frames: _Frames) -> Json:
    spent = stacks(run)
    return {
        "type": "sampled",
        "name": "all rounds together",
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(spent.values()),
        "samples": [[frames[name] for name in stack] for stack in spent],
        "weights": list(spent.values()),
    }


def _timelines(run: Timeline, frames: _Frames) -> Iterator[Json]:
    for sequence, lane in run.lanes.items():
        yield {
            "type": "evented",
            "name": "timeline" if len(run.lanes) == 1 else f"timeline of sequence {sequence}",
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": run.ns,
            "events": list(_open_and_close_events(Slice(RUN, 0, run.ns, tuple(lane)), frames)),
        }


def _open_and_close_events(one: Slice, frames: _Frames) -> Iterator[Json]:
    frame = frames[one.name]
    yield {"type": "O", "frame": frame, "at": one.start_ns}
    for child in one.children:
        yield from _open_and_close_events(child, frames)
    yield {"type": "C", "frame": frame, "at": one.end_ns}
