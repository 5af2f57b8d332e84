"""The capture file: one JSON line an event, read whole or as it grows.

Knows lines and bytes; nothing of models, evidence or screens. A killed run leaves at most one torn
last line, which every reader skips. A capture may come from anywhere. Whatever it holds, a reader
does no more than raise CaptureUnreadable or count a damaged line. `capture_writer` makes the file.
"""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from specprof.bounds import Bounds, Damaged, find_header_trouble
from specprof.errors import CaptureReplaced, CaptureUnreadable
from specprof.reading import open_regular
from specprof.reasons import reason_of
from specprof.records import SCHEMA, End, Event, Header, Overlaps, Round, Scan, Scored
from specprof.settings import Settings

PIECE_BYTES = 2**20
"""Bytes read at once by readers that don't need all events together."""
BATCH_BYTES = 1 << 18
"""Bytes read together: so few that the decoded events stay in the processor's cache."""
BATCH_LINES = 4096
"""Lines decoded together: an event takes more memory than its line, if the line is short."""
MAX_LINE_BYTES = 64 << 20
"""Bytes; a longer line is damage. The longest real lines, rechecks, stay far below."""
MAX_SKIPPED_BYTES = 256 << 20
"""Bytes; if an overlong line doesn't end within these, the rest of the file is not read."""
RESULT_EVENTS = (Round, Scored, Overlaps, Scan)
"""Events that a run is made for."""
TAIL_BYTES = 64
"""The last bytes read are kept. They show whether the file has grown or was recorded anew."""
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decoder = msgspec.json.Decoder[Event](Event)


class CaptureReader:
    """Reads a capture from its start; called again, it reads what has been appended since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = Damaged()
        """The lines that were skipped: they were no event, or broke a bound."""
        self.torn = False
        """Whether the file ended inside a line when it was last read."""
        self.offset = 0
        """Bytes of the whole lines that were read."""
        self._lines = 0
        self._size = 0
        """Bytes of the file when it was last read."""
        self._tail = b""
        self._endless = False
        """Whether reading stopped at a line that doesn't end within `MAX_SKIPPED_BYTES` bytes."""
        self._bounds: Bounds | None = None
        """The bounds that the header and the lines so far set; None before the header."""

    def poll(self, limit: int | None = None, file: BinaryIO | None = None) -> list[Event]:
        """Return the complete events since the last call, from about `limit` bytes at most.

        A caller that holds the capture open passes it as `file`: a deleted file can be read in no
        other way. Lines that are appended meanwhile are left to the next call.

        Raises CaptureUnreadable if the file can't be read or is no capture, CaptureReplaced if it
        no longer holds what was read before.
        """
        try:
            with contextlib.ExitStack() as stack, without_garbage_collection():
                file = file or stack.enter_context(open_regular(self.path))
                return self._events(file, limit)
        except OSError as trouble:
            raise unreadable_error(self.path, trouble) from trouble

    def pieces(
        self, size: int = PIECE_BYTES, file: BinaryIO | None = None, until: int | None = None
    ) -> Iterator[list[Event]]:
        """Yield the complete events since the last call, from about `size` bytes at a time.

        Lines that are appended after the first piece are left to the next call. So are lines
        behind `until`, an offset at which a line ends. `file` is as for `poll`.
        """
        before, end = -1, until
        while before < self.offset and (end is None or self.offset < end):
            before = self.offset  # a piece of damaged lines alone holds no event
            yield self.poll(size if end is None else min(size, end - before), file)
            end = self._size if end is None else end

    @property
    def mark(self) -> tuple[int, bytes]:
        """The offset and the last bytes before it; equal for two readers of an unchanged file."""
        return self.offset, self._tail

    def _events(self, file: BinaryIO, limit: int | None) -> list[Event]:
        events = list[Event]()
        for lines in self._whole_lines(file, limit):
            for start in range(0, len(lines), BATCH_LINES):
                events += self._decode(lines[start : start + BATCH_LINES])
        return events

    def _whole_lines(self, file: BinaryIO, limit: int | None) -> Iterator[list[bytes]]:
        """Yield complete lines, without their line ends, and the beginnings of overlong lines."""
        size = self._size = file.seek(0, os.SEEK_END)
        self._refuse_replaced(file, size)
        started = file.seek(self.offset)
        until = size if limit is None else min(size, started + limit)
        until = max(until, 1)  # some systems' files state a size of 0: read one line to find out
        self.torn = self._endless
        while self.offset < until and not self._endless:
            piece = file.read(min(until - self.offset, BATCH_BYTES, MAX_LINE_BYTES))
            whole, end, _ = piece.rpartition(b"\n")
            file.seek(self.offset + len(whole) + len(end))
            if end:
                self.offset, self._tail = file.tell(), (whole + end)[-TAIL_BYTES:]
                yield whole.split(b"\n")
                continue
            line = file.readline(MAX_LINE_BYTES)
            if line.endswith(b"\n"):
                self.offset += len(line)
            elif self._skip_to_next_line(file, line):
                self.offset = file.tell()
            else:
                self.torn = bool(line)
                return
            self._tail = line[-TAIL_BYTES:]
            yield [line.removesuffix(b"\n")]

    def _refuse_replaced(self, file: BinaryIO, size: int) -> None:
        file.seek(max(0, self.offset - len(self._tail)))
        if size < self.offset or file.read(len(self._tail)) != self._tail:
            raise replaced_error(self.path)

    def _skip_to_next_line(self, file: BinaryIO, line: bytes) -> bool:
        """Skip the rest of an overlong line, a piece at a time; False if its end was not found."""
        if len(line) < MAX_LINE_BYTES:
            return False
        if not self.offset:
            raise not_a_capture_error(self.path)
        left = MAX_SKIPPED_BYTES
        while left > 0 and (piece := file.readline(PIECE_BYTES)):
            left -= len(piece)
            if piece.endswith(b"\n"):
                return True
        self._endless = left <= 0
        return False

    def _decode(self, lines: list[bytes]) -> list[Event]:
        """Return the events in the next lines of the file; count the damaged lines."""
        if self._bounds is None:
            header = _decode_header(self.path, lines[0])
            self._bounds, self._lines = Bounds(header), 1
            self.damaged.of = 1
            return [header, *self._decode(lines[1:])]
        events, wrong, first = list[Event](), dict[int, Callable[[], str]](), self._lines + 1
        for number, line in enumerate(lines, first):
            try:
                events.append(_decoder.decode(line))
            except _DECODE_ERRORS:
                wrong[number] = partial(_reason_of, line)
        self._lines += len(lines)
        self.damaged.of = self._lines
        if not self._bounds.all_hold(events, first):
            numbers = [each for each in range(first, first + len(lines)) if each not in wrong]
            judged = [
                self._bounds.find_violation(*each) for each in zip(events, numbers, strict=True)
            ]
            wrong |= {
                number: partial(str, why)
                for number, why in zip(numbers, judged, strict=True)
                if why
            }
            events = [event for event, why in zip(events, judged, strict=True) if why is None]
        for number in sorted(wrong):
            self.damaged.add(number, wrong[number])
        return events


class Capture:
    """A capture: its header, the events after it, and what was wrong with its file."""

    def __init__(
        self, *, path: Path, header: Header, events: Sequence[Event], damaged: Damaged, torn: bool
    ) -> None:
        self.path = path
        self.header = header
        self.events = events
        """In the order of the file. `capture_file.open_capture` reads them anew each time."""
        self._damaged, self._torn = damaged, torn

    @property
    def damaged(self) -> Damaged:
        """The lines that were no event, or broke a bound."""
        return self._damaged

    @property
    def torn(self) -> bool:
        """Whether the file ends inside a line, which was left out."""
        return self._torn

    @property
    def end(self) -> End | None:
        """The closing line; None while the run goes on, or if it was killed."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, End) else None

    @property
    def unreadable(self) -> str | None:
        """Why no result could be read, if lines are damaged and none is left; else None."""
        unasked = self.header.spec.settings.detail == "off"
        read = unasked or any(isinstance(each, RESULT_EVENTS) for each in self.events)
        return None if read else self.damaged.sentence() or None

    @property
    def state(self) -> str:
        """`complete`, `interrupted`, `failed`, or `INCOMPLETE`: no closing line was written."""
        return self.end.status if self.end else "INCOMPLETE"


def read_capture(path: Path) -> Capture:
    """Read a whole capture; leave out a torn last line and damaged lines, and count the latter.

    Raises CaptureUnreadable if the file is missing, empty, no capture, or of a newer schema.
    """
    reader = CaptureReader(path)
    events = reader.poll()
    if not events:
        raise no_line_error(path)
    header, *rest = events
    assert isinstance(header, Header)  # noqa: S101 - the first line is a header or was refused
    return Capture(path=path, header=header, events=rest, damaged=reader.damaged, torn=reader.torn)


def no_line_error(path: Path) -> CaptureUnreadable:
    """Return the error for a file without one whole line."""
    hint = "the run may have been stopped before its first line; record again"
    return CaptureUnreadable(f"{path} holds no complete line", hint)


def no_result_error(path: Path | str, damage: str) -> CaptureUnreadable:
    """Return the error for a capture so damaged that no result could be read.

    `damage` says how many lines are damaged, and why.
    """
    title = f"{path} holds no result that could be read: {damage}"
    return CaptureUnreadable(title, "record again, or copy the file anew")


def not_a_capture_error(path: Path) -> CaptureUnreadable:
    """Return the error for a file that is no capture."""
    hint = "a capture begins with a specprof header line; `specprof run -o FILE` writes one"
    return CaptureUnreadable(f"{path} is not a specprof capture", hint)


def replaced_error(path: Path) -> CaptureReplaced:
    """Return the error for a file that no longer holds what was read before."""
    hint = "open it again to read the new file from its start"
    return CaptureReplaced(f"{path} was overwritten while it was read", hint)


def unreadable_error(path: Path, trouble: OSError) -> CaptureUnreadable:
    """Return the error for a file that the system refuses to read."""
    hint = "give the path of a file that `specprof run` wrote"
    return CaptureUnreadable(f"can't read {path}: {trouble.strerror}", hint)


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Turn garbage collection off inside the block, where many records are made and all are kept.

    Otherwise the collector would look through them again and again, as long as decoding takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _reason_of(line: bytes) -> str:
    """Return why a line, given without its line end, is no event."""
    # With the line end msgspec names a text that is not closed. An overlong line was cut before it.
    whole = line if len(line) >= MAX_LINE_BYTES else line + b"\n"
    try:
        _decoder.decode(whole)
    except _DECODE_ERRORS as trouble:
        return reason_of(trouble, whole, Event)
    return "it is no event"


class _Start(msgspec.Struct):
    event: str
    schema: int


def _decode_header(path: Path, line: bytes) -> Header:
    try:
        start = msgspec.json.decode(line, type=_Start)
    except _DECODE_ERRORS:
        start = None
    if start is None or start.event != "header":
        raise not_a_capture_error(path)
    if start.schema > SCHEMA:
        found = f"{path} has capture schema {start.schema}; this specprof reads up to {SCHEMA}"
        raise CaptureUnreadable(
            found, "upgrade specprof, or read it with the version that wrote it"
        )
    written: object = line
    try:
        written = _drop_unknown_settings(msgspec.json.decode(line))
        header = msgspec.convert(written, Header)
    except _DECODE_ERRORS as broken:
        raise _damaged_header_error(path, reason_of(broken, written, Header)) from broken
    if (trouble := find_header_trouble(header)) is not None:
        raise _damaged_header_error(path, trouble)
    return header


def _damaged_header_error(path: Path, trouble: str) -> CaptureUnreadable:
    return CaptureUnreadable(f"{path} has a damaged header: {trouble}", "record again")


def _drop_unknown_settings(header: dict[str, Any]) -> dict[str, Any]:
    """Return the header without settings that a later version added: they change nothing here."""
    spec = header.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("settings"), dict):
        known = {k: v for k, v in spec["settings"].items() if k in Settings.__struct_fields__}
        return {**header, "spec": {**spec, "settings": known}}
    return header
