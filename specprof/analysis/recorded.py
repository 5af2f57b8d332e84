"""A capture as columns, read a piece at a time: no more of its events is held than columns keep.

Knows files and columns; draws nothing from either.
"""

from dataclasses import dataclass
from pathlib import Path

from specprof.analysis.columns import Columns
from specprof.bounds import Damaged
from specprof.capture import Capture, CaptureReader, no_collection, no_line
from specprof.records import End, Header

PIECE_BYTES = 1 << 18
"""Of the file, read at a time: what is decoded of it stays in a processor's cache."""


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
        """What ran, on what."""
        assert self.columns.header is not None  # noqa: S101 - nothing is recorded without one
        return self.columns.header

    @property
    def state(self) -> str:
        """As `Capture.state`."""
        return self.end.status if self.end else "INCOMPLETE"


def read_columns(path: Path) -> Recorded:
    """Read a whole capture, forgiving a torn last line and naming damaged ones.

    Raises CaptureUnreadable as `read_capture`.
    """
    reader, columns, last = CaptureReader(path), Columns(), None
    columns.damaged = reader.damaged
    with no_collection():
        for events in reader.pieces(PIECE_BYTES):
            columns.feed(events)
            last = events[-1] if events else last
    columns.torn = reader.torn
    if columns.header is None:
        raise no_line(path)
    end = last if isinstance(last, End) else None
    return Recorded(columns, end, reader.damaged, reader.torn)


def laid_out(capture: Capture) -> Recorded:
    """Return a capture that was read already as columns."""
    columns = Columns()
    columns.damaged, columns.torn = capture.damaged, capture.torn
    columns.feed([capture.header, *capture.events])
    return Recorded(columns, capture.end, capture.damaged, capture.torn)
