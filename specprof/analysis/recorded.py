"""A capture as columns, read a piece at a time: only one piece's events are in memory.

Knows files and columns; computes nothing from them.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from specprof.analysis.columns import Columns
from specprof.bounds import Damaged
from specprof.capture import Capture, CaptureReader, no_line_error, without_garbage_collection
from specprof.capture_file import PIECE_BYTES
from specprof.records import End, Header

EVENTS_TOGETHER = 512
"""Events that are laid out at a time."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A capture's columns, and what was wrong with its file."""

    columns: Columns
    end: End | None
    """The closing line; None while the run goes on, or when it was killed."""
    damaged: Damaged
    torn: bool

    @property
    def header(self) -> Header:
        """What ran, and on which machine."""
        assert self.columns.header is not None  # noqa: S101 - nothing is recorded without one
        return self.columns.header

    @property
    def state(self) -> str:
        """As `Capture.state`."""
        return self.end.status if self.end else "INCOMPLETE"


def read_columns(path: Path) -> Recorded:
    """Read a whole capture. A torn last line is left out, damaged lines are listed.

    Raises CaptureUnreadable as `read_capture` does.
    """
    reader, columns, last = CaptureReader(path), Columns(), None
    columns.damaged = reader.damaged
    with without_garbage_collection():
        for events in reader.pieces(PIECE_BYTES):
            columns.feed(events)
            last = events[-1] if events else last
    columns.torn = reader.torn
    if columns.header is None:
        raise no_line_error(path)
    end = last if isinstance(last, End) else None
    return Recorded(columns, end, reader.damaged, reader.torn)


def lay_out_capture(capture: Capture) -> Recorded:
    """Return a capture in memory as columns, without a copy of its events."""
    columns, events = Columns(), iter(capture.events)
    columns.feed([capture.header])
    with without_garbage_collection():
        while some := list(islice(events, EVENTS_TOGETHER)):
            columns.feed(some)
    columns.damaged, columns.torn = capture.damaged, capture.torn
    return Recorded(columns, capture.end, capture.damaged, capture.torn)
