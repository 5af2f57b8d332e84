"""The capture file: one JSON line an event, written at once, readable while it grows.

Knows lines and bytes; nothing of models, evidence or screens. A line goes out in one `write`, so a
killed run leaves at most one torn last line, which every reader skips. A full disk stops the
recording, never the run.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from specprof.errors import CaptureUnreadable, UsageError
from specprof.records import SCHEMA, End, Event, Header

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(Event)


class CaptureWriter:
    """Appends events to a new file; `lost` counts those that could not be written."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self.write_ns = 0
        self.lost = 0
        self.trouble: str | None = None
        """Why recording stopped, in the system's words; None while all is well."""
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        try:
            self._file = os.open(path, flags, 0o644)
        except FileExistsError:
            raise UsageError(
                f"{path} exists already", "choose another -o, or pass --force"
            ) from None
        except OSError as trouble:
            hint = "choose a writable place with -o PATH"
            raise UsageError(f"can't write {path}: {trouble.strerror}", hint) from trouble
        self._length = 0

    def write(self, event: Event) -> None:
        """Append one event. Never raises: after a failed write events are only counted."""
        started = time.perf_counter_ns()
        if self.trouble is None:
            self._append(_encoder.encode(event) + b"\n")
        else:
            self.lost += 1
        self.write_ns += time.perf_counter_ns() - started

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            if written == len(line):
                self._length += written
                return
            reason = "no space left for a whole line"
        except OSError as trouble:
            reason = trouble.strerror or str(trouble)
        self.trouble, self.lost = reason, self.lost + 1
        os.ftruncate(self._file, self._length)


class CaptureReader:
    """Reads a capture from its start and, called again, whatever has been appended since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: list[int] = []
        """Line numbers, from 1, that were no event and were skipped."""
        self.torn = False
        """Whether the bytes read so far end inside a line."""
        self._offset = 0
        self._lines = 0
        self._rest = b""

    def poll(self, limit: int | None = None) -> list[Event]:
        """Return the complete events since the last call, at most about `limit` bytes of them."""
        chunk = self._read_on(limit)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self.torn = bool(self._rest)
        return [event for line in lines if (event := self._decode(line)) is not None]

    def _read_on(self, limit: int | None) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read(-1 if limit is None else limit)
        except OSError as trouble:
            hint = "give the path of a file that `specprof run` wrote"
            raise CaptureUnreadable(
                f"can't read {self.path}: {trouble.strerror}", hint
            ) from trouble
        self._offset += len(chunk)
        return chunk

    def _decode(self, line: bytes) -> Event | None:
        self._lines += 1
        if self._lines == 1:
            return _first_line(self.path, line)
        try:
            return _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.damaged.append(self._lines)
            return None


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """A capture as it was read: its header, the events after it, and what was wrong with it."""

    path: Path
    header: Header
    events: list[Event]
    damaged: list[int]
    torn: bool

    @property
    def end(self) -> End | None:
        """The closing line; None while the run goes on, or when it was killed."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, End) else None

    @property
    def state(self) -> str:
        """`complete`, `interrupted`, `failed`, or `INCOMPLETE`: no closing line was written."""
        return self.end.status if self.end else "INCOMPLETE"


def read_capture(path: Path) -> Capture:
    """Read a whole capture, forgiving a torn last line and naming damaged ones.

    Raises CaptureUnreadable where the file is missing, empty, no capture, or of a newer schema.
    """
    reader = CaptureReader(path)
    events = reader.poll()
    if not events:
        hint = "the run may have been stopped before its first line; record again"
        raise CaptureUnreadable(f"{path} holds no complete line", hint)
    header, *rest = events
    assert isinstance(header, Header)  # noqa: S101 - the first line is a header or was refused
    return Capture(path=path, header=header, events=rest, damaged=reader.damaged, torn=reader.torn)


def follow(path: Path, *, every_s: float = 0.1) -> Iterator[list[Event]]:
    """Yield batches of events as they are appended, until the closing line has been read."""
    reader = CaptureReader(path)
    while True:
        events = reader.poll()
        yield events
        if events and isinstance(events[-1], End):
            return
        time.sleep(every_s)


class _Start(msgspec.Struct):
    event: str
    schema: int


def _first_line(path: Path, line: bytes) -> Header:
    try:
        start = msgspec.json.decode(line, type=_Start)
    except (msgspec.DecodeError, UnicodeDecodeError):
        start = None
    if start is None or start.event != "header":
        hint = "a capture begins with a specprof header line; `specprof run -o FILE` writes one"
        raise CaptureUnreadable(f"{path} is not a specprof capture", hint)
    if start.schema > SCHEMA:
        found = f"{path} has capture schema {start.schema}; this specprof reads up to {SCHEMA}"
        raise CaptureUnreadable(
            found, "upgrade specprof, or read it with the version that wrote it"
        )
    try:
        return msgspec.json.decode(line, type=Header)
    except msgspec.ValidationError as trouble:
        raise CaptureUnreadable(
            f"{path} has a damaged header: {trouble}", "record again"
        ) from trouble
