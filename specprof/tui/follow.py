"""Follows a capture file, growing or finished, and reports how complete it is.

Knows the file, the lock that its recorder holds on it, and the recording process if this program
started it. Knows nothing of screens and never loads a model: it runs in another process than the
measured run. The file is kept open, so that a deleted file can be read to its end.
"""

import os
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from specprof.analysis.columns import Columns
from specprof.capture import (
    CaptureReader,
    no_line_error,
    replaced_error,
    unreadable_error,
    without_garbage_collection,
)
from specprof.errors import CaptureReplaced
from specprof.locking import is_locked, read_boot_id
from specprof.reading import open_regular, read_end
from specprof.tui.snapshot import ENDED, Lost, State

SLICE_BYTES = 1 << 20
"""Bytes of one read: the beginning of a long capture shows at once."""
SILENT_S = 30.0
"""After so long without a new line the screen shows the file as silent; following continues."""
_MAX_LOG_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Reading:
    """A capture as far as it has been read."""

    columns: Columns
    """Cut to the rounds read so far; the follower appends to its own columns later."""
    state: State
    damaged: int
    torn: bool
    silent_s: float | None
    """Seconds since the file last grew; None where its modification time lies in the future."""
    lost: Lost | None
    """What happened to the file, if its name no longer leads to the capture that was read."""
    log: tuple[str, ...]
    more: bool
    """Whether the file holds more that can be read now."""
    final: bool
    """Whether nothing more can come."""


class Follower:
    """Reads a capture piece by piece; each `read` continues where the last one stopped.

    `alive` returns whether the recording process lives. Without it the file's lock is the evidence,
    if the recorder holds one.
    """

    def __init__(
        self, path: Path, *, alive: Callable[[], bool] | None = None, log: Path | None = None
    ) -> None:
        self.path = path
        self._alive = alive
        self._log = log
        self._reader = CaptureReader(path)
        self._columns = Columns()
        self._columns.damaged = self._reader.damaged
        self._file: BinaryIO | None = None
        self._silence = _Silence()
        self._overwritten = False

    @property
    def size(self) -> int:
        """Bytes of the file at the last read."""
        return self._silence.size

    @property
    def taken(self) -> int:
        """Bytes read so far, in whole lines."""
        return self._reader.offset

    def read(self) -> Reading:
        """Read at most a slice. Raises CaptureUnreadable where the file is no capture."""
        # Before reading, so that everything a dead process wrote is read for certain.
        alive = None if self._alive is None else self._alive()
        file = self._open_file()
        if file is None:
            return self._make_reading(living=alive, silent_s=0.0, lost=None, more=False)
        locked, found = is_locked(file.fileno()), os.fstat(file.fileno())
        silent_s = self._silence.seconds_since_growth(found)
        lost = self._find_loss(found)
        more = not self._overwritten and self._feed(file, found.st_size)
        if self._overwritten:
            lost = "overwritten"
        return self._make_reading(
            living=self._is_alive(alive, locked), silent_s=silent_s, lost=lost, more=more
        )

    def _open_file(self) -> BinaryIO | None:
        """Return the open file; None where the recording process has not created it yet."""
        if self._file is None:
            try:
                self._file = open_regular(self.path)
            except FileNotFoundError as trouble:
                if self._alive is None:
                    raise unreadable_error(self.path, trouble) from trouble
                return None
            except OSError as trouble:
                raise unreadable_error(self.path, trouble) from trouble
            weakref.finalize(self, self._file.close)
        return self._file

    def _feed(self, file: BinaryIO, size: int) -> bool:
        """Read a slice; return whether the file holds more."""
        before = self.taken
        try:
            self._columns.feed(self._reader.poll(SLICE_BYTES, file))
            self._columns.torn = self._reader.torn
        except CaptureReplaced:
            self._overwritten = True
            return False
        return before < self.taken < size

    def _find_loss(self, found: os.stat_result) -> Lost | None:
        try:
            return None if os.path.samestat(found, self.path.stat()) else "replaced"
        except OSError:
            return "deleted"

    def _is_alive(self, alive: bool | None, locked: bool | None) -> bool | None:  # noqa: FBT001
        """Return whether the recorder lives; None where that can't be seen from this process."""
        if alive is not None or locked:
            return alive or locked
        boot = self._columns.header.locked_on if self._columns.header else None
        seen = (
            boot is not None and boot == read_boot_id()
        )  # else the lock is no evidence on this machine
        return False if seen and locked is False else None

    def _make_reading(
        self, *, living: bool | None, silent_s: float | None, lost: Lost | None, more: bool
    ) -> Reading:
        columns = self._columns
        state = self._find_state(living=living, silent_s=silent_s, more=more)
        left = self._alive is not None and not living  # the recording process has ended
        return Reading(
            columns=columns.first(len(columns.rounds)),
            state=state,
            damaged=len(self._reader.damaged),
            torn=self._reader.torn,
            silent_s=silent_s,
            lost=lost,
            log=_read_tail(self._log),
            more=more,
            final=not more
            and (state in ENDED or left or lost == "overwritten" or bool(lost and not living)),
        )

    def _find_state(self, *, living: bool | None, silent_s: float | None, more: bool) -> State:
        if self._columns.end:
            return self._columns.end.status
        if living is False and not more:
            return "INCOMPLETE"
        if not self._columns.header:
            return "waiting"
        grows = silent_s is not None and silent_s <= SILENT_S
        if more and not living and (living is False or not grows):
            return "reading"  # no process writes, and the last line is not read yet
        if more or grows:
            return "recording"
        return "silent" if living else "unseen"


class _Silence:
    """Measures how long a file has not grown, by the monotonic clock, which is never set.

    The file's modification time only gives the silence before the first look.
    """

    def __init__(self) -> None:
        self.size = -1
        """Bytes at the last look; -1 before the first."""
        self._grew_s: float | None = None

    def seconds_since_growth(self, found: os.stat_result) -> float | None:
        """Return seconds since the file last grew; None where its time lies in the future."""
        now = time.monotonic()
        if self.size < 0:
            age_s = time.time() - found.st_mtime
            self._grew_s = now - max(age_s, 0.0) if age_s > -SILENT_S else None
        elif found.st_size != self.size:
            self._grew_s = now
        self.size = found.st_size
        return None if self._grew_s is None else now - self._grew_s


def read_all(path: Path) -> Reading:
    """Read a capture up to its present end. Raises CaptureUnreadable where it is no capture."""
    follower = Follower(path)
    with without_garbage_collection():
        reading = follower.read()
        end = follower.size
        while reading.more and follower.taken < end:
            reading = follower.read()
    if reading.lost == "overwritten":
        raise replaced_error(path)
    if reading.columns.header is None:
        raise no_line_error(path)
    return reading


def _read_tail(log: Path | None) -> tuple[str, ...]:
    """Return the last lines of the run's own output, or the reason why it can't be read."""
    if log is None:
        return ()
    try:
        return tuple(read_end(log, _MAX_LOG_BYTES).splitlines())
    except OSError as trouble:
        return (f"can't read {log}: {trouble.strerror}",)
