"""The capture file: one JSON line an event, written at once, readable while it grows.

Knows lines and bytes; nothing of models, evidence or screens. A line goes out in one `write`, alone
or with those that follow it at once, so a killed run leaves at most one torn last line, which every
reader skips. A full disk stops the
recording, never the run. A capture may come from anywhere: no file makes a reader do worse than
raise CaptureUnreadable or count a damaged line.
"""

import contextlib
import gc
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from specprof.errors import CaptureUnreadable, UsageError
from specprof.records import SCHEMA, End, Event, Header
from specprof.settings import Settings

PIECE = 2**20
"""Bytes read at once where nobody needs all events together."""
LONGEST_LINE = 64 << 20
"""Bytes; a longer line is damage. The longest real ones, rechecks, stay far below."""
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_long_number = re.compile(rb"(?<![.\d])\d{16}").search
_LARGEST = 1 << 53
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder[Event](Event)


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
        self._held: list[bytes] = []

    def write(self, event: Event, *, more: bool = False) -> None:
        """Append one event; one that has `more` following at once is written with them.

        Never raises: after a failed write events are only counted.
        """
        started = time.perf_counter_ns()
        if self.trouble is None:
            self._held.append(_line(event))
            if not more:
                self._append()
        else:
            self.lost += 1
        self.write_ns += time.perf_counter_ns() - started

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._held:
            self._append()
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

    def _append(self) -> None:
        lines, written = b"".join(self._held), 0
        self._held = []
        try:
            written = os.write(self._file, lines)
            if written == len(lines):
                self._length += written
                return
            reason = "no space left for a whole line"
        except OSError as trouble:
            reason = trouble.strerror or str(trouble)
        whole = lines.rfind(b"\n", 0, written) + 1
        self._length += whole
        self.trouble, self.lost = reason, self.lost + lines.count(b"\n", whole)
        with contextlib.suppress(OSError):  # a device has no length to cut back to
            os.ftruncate(self._file, self._length)


class CaptureReader:
    """Reads a capture from its start and, called again, whatever has been appended since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: list[int] = []
        """Line numbers, from 1, that were no event and were skipped."""
        self.torn = False
        """Whether the file ended inside a line when it was last read."""
        self._offset = 0
        self._lines = 0

    def poll(self, limit: int | None = None) -> list[Event]:
        """Return the complete events since the last call, from about `limit` bytes at most.

        Raises CaptureUnreadable where the file can't be read, is no capture, or was overwritten.
        """
        try:
            self._refuse_pipes()
            with self.path.open("rb") as file, _no_collection():
                return list(self._events(file, limit))
        except OSError as trouble:
            hint = "give the path of a file that `specprof run` wrote"
            raise CaptureUnreadable(
                f"can't read {self.path}: {trouble.strerror}", hint
            ) from trouble

    def pieces(self, size: int = PIECE) -> Iterator[list[Event]]:
        """Yield the complete events since the last call, from about `size` bytes at a time."""
        before = -1
        while self._offset > before:  # a piece of damaged lines alone holds no event
            before = self._offset
            yield self.poll(size)

    def _refuse_pipes(self) -> None:
        """Refuse what would make a reader wait for ever, and can't be read from its start again."""
        mode = self.path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            hint = "write it to a file first, and give that"
            raise CaptureUnreadable(f"{self.path} is no regular file", hint)

    def _events(self, file: BinaryIO, limit: int | None) -> Iterator[Event]:
        if file.seek(0, os.SEEK_END) < self._offset:
            hint = "open it again to read the new one from its start"
            raise CaptureUnreadable(f"{self.path} was overwritten while it was read", hint)
        started = file.seek(self._offset)
        self.torn = False
        while limit is None or self._offset - started < limit:
            line = file.readline(LONGEST_LINE)
            whole = line.endswith(b"\n") or _skipped_to_the_next(file, line)
            if not whole:
                self.torn = bool(line)
                return
            self._offset = file.tell()
            if (event := self._decode(line)) is not None:
                yield event

    def _decode(self, line: bytes) -> Event | None:
        self._lines += 1
        if self._lines == 1:
            return _header(self.path, line)
        try:
            event: Event | None = _decoder.decode(line)
        except _BROKEN:
            event = None
        if event is None or isinstance(event, Header) or not _fits(line, event):
            self.damaged.append(self._lines)
            return None
        return event


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
        raise no_line(path)
    header, *rest = events
    assert isinstance(header, Header)  # noqa: S101 - the first line is a header or was refused
    return Capture(path=path, header=header, events=rest, damaged=reader.damaged, torn=reader.torn)


def no_line(path: Path) -> CaptureUnreadable:
    """Return the error of a file that has not one whole line."""
    hint = "the run may have been stopped before its first line; record again"
    return CaptureUnreadable(f"{path} holds no complete line", hint)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Put garbage collection off: of new records none is garbage.

    To look through them again and again takes as long as to decode them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _line(event: Event) -> bytes:
    try:
        return _encoder.encode(event) + b"\n"
    except UnicodeEncodeError:  # an argument or a file name that was no valid UTF-8
        return _encoder.encode(_without_surrogates(msgspec.to_builtins(event))) + b"\n"


def _without_surrogates(value: Any) -> Any:  # noqa: ANN401 - plain JSON, of any shape
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return [_without_surrogates(each) for each in value] if isinstance(value, list) else value


def _skipped_to_the_next(file: BinaryIO, line: bytes) -> bool:
    """Skip the rest of an overlong line, holding no more than a piece of it at a time."""
    if len(line) < LONGEST_LINE:
        return False
    while piece := file.readline(1 << 20):
        if piece.endswith(b"\n"):
            return True
    return False


def _fits(line: bytes, event: Event) -> bool:
    """Whether every whole number is exact as a float too: columns and JSON readers need that."""
    sixteen_digits = b"0" * 16 in line.translate(_ZEROS)  # six times as fast as the expression
    if not (sixteen_digits and _long_number(line)):
        return True
    waiting = [msgspec.to_builtins(event)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, int) and abs(value) > _LARGEST:
            return False
        waiting += value.values() if isinstance(value, dict) else ()
        waiting += value if isinstance(value, list) else ()
    return True


class _Start(msgspec.Struct):
    event: str
    schema: int


def _header(path: Path, line: bytes) -> Header:
    try:
        start = msgspec.json.decode(line, type=_Start)
    except _BROKEN:
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
        return msgspec.convert(_known_settings(msgspec.json.decode(line)), Header)
    except _BROKEN as trouble:
        raise CaptureUnreadable(
            f"{path} has a damaged header: {trouble}", "record again"
        ) from trouble


def _known_settings(header: dict[str, Any]) -> dict[str, Any]:
    """Return the header without the settings a later version added: they misinform nobody."""
    spec = header.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("settings"), dict):
        known = {k: v for k, v in spec["settings"].items() if k in Settings.__struct_fields__}
        return {**header, "spec": {**spec, "settings": known}}
    return header
