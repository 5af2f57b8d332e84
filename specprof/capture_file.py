"""A capture that reads its events from the file anew each time they are iterated over.

It keeps no event, so a file of any length takes the memory of one piece. The closing line and the
damage are known after the first time through the file. Knows pieces of a capture; nothing of what
its readers make of them.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, overload

from specprof.bounds import Damaged
from specprof.capture import Capture, CaptureReader, no_line_error, replaced_error, unreadable_error
from specprof.reading import open_regular
from specprof.records import End, Event, Header

PIECE_BYTES = 1 << 18
"""Bytes read at a time: so few that the decoded events stay in the processor's cache."""


@contextlib.contextmanager
def open_capture(path: Path) -> Iterator[Capture]:
    """Yield a capture that ends where the file ends the first time it is read through.

    Raises CaptureUnreadable as `read_capture` does. Iterating over the events raises
    CaptureReplaced if the file is overwritten meanwhile.
    """
    try:
        file = open_regular(path)
    except OSError as trouble:
        raise unreadable_error(path, trouble) from trouble
    with file:  # held open, so that the same file is read each time even if it is renamed
        yield _CaptureFile(path, file)


class FileEvents(Sequence[Event]):
    """The events after a capture's header.

    Iteration holds a piece of them at a time. Indexing, such as `events[3]`, holds them all.
    """

    def __init__(self, path: Path, file: BinaryIO, header: Header) -> None:
        self._path = path
        self._file = file
        self._header = header
        self._whole: list[Event] | None = None
        self._found: _Found | None = None

    @property
    def found(self) -> "_Found":
        """What is known at the end of the file; the first call reads the file through."""
        if self._found is None:
            deque(self, maxlen=0)
        assert self._found is not None  # noqa: S101 - set at the end of every time through
        return self._found

    def __iter__(self) -> Iterator[Event]:
        reader, before, count, last = CaptureReader(self._path), self._found, 0, None
        written = _Written.of(self._file)
        if reader.poll(1, self._file) != [self._header]:
            raise replaced_error(self._path)
        until = None if before is None else before.mark[0]
        for piece in reader.pieces(PIECE_BYTES, self._file, until):
            yield from piece
            count += len(piece)
            last = piece[-1] if piece else last
        end = last if isinstance(last, End) else None
        found = _Found(count, end, reader.damaged, reader.torn, reader.mark, written)
        if before is None:
            self._found = self._found or found
        elif (before.events, before.mark) != (found.events, found.mark):
            raise replaced_error(self._path)
        if (before or found).written.was_overwritten(_Written.of(self._file)):
            raise replaced_error(self._path)

    def __len__(self) -> int:
        return self.found.events

    @overload
    def __getitem__(self, place: int) -> Event:
        pass

    @overload
    def __getitem__(self, place: slice) -> list[Event]:
        pass

    def __getitem__(self, place: int | slice) -> Event | list[Event]:
        if self._whole is None:
            self._whole = list(iter(self))
        return self._whole[place]


class _Written(NamedTuple):
    """How long a file is, and when it was last written."""

    size: int
    at_ns: int

    @classmethod
    def of(cls, file: BinaryIO) -> "_Written":
        """Return the size and the time of a file as they are now."""
        found = os.fstat(file.fileno())
        return cls(found.st_size, found.st_mtime_ns)

    def was_overwritten(self, now: "_Written") -> bool:
        """Return whether the file was written over since: written, but not longer."""
        return now.size <= self.size and now != self


class _Found(NamedTuple):
    """What is known of a file's events after reading the file through."""

    events: int
    """The number of events."""
    end: End | None
    damaged: Damaged
    torn: bool
    mark: tuple[int, bytes]
    written: _Written
    """The file's size and time when the first time through began."""


class _CaptureFile(Capture):
    """A capture that holds only its header; its end and damage are found by reading it through."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        header = next(iter(CaptureReader(path).poll(1, file)), None)
        if not isinstance(header, Header):
            raise no_line_error(path)
        self._read = FileEvents(path, file, header)
        super().__init__(path=path, header=header, events=self._read, damaged=Damaged(), torn=False)

    @property
    def damaged(self) -> Damaged:
        return self._read.found.damaged

    @property
    def torn(self) -> bool:
        return self._read.found.torn

    @property
    def end(self) -> End | None:
        return self._read.found.end
