"""Follows a capture file, growing or finished, and says how much of it can be trusted.

Knows the file, the lock by which its recorder is seen, and, where this program started it, whether
the recording process lives; nothing of screens, and never a model: this runs in a process of its
own beside the one that is measured. The file is kept open: a deleted one can be read to its end.
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
"""Read at a time, so that a long capture shows its beginning at once."""
SILENT_S = 30.0
"""Without a new line for so long, the screen says since when; following goes on."""
_LOG_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Reading:
    """A capture as far as it has been read."""

    columns: Columns
    """A view of their own: feeding goes on behind it."""
    state: State
    damaged: int
    torn: bool
    silent_s: float | None
    """Since the file last grew; None where its time lies in the future."""
    lost: Lost | None
    """What has become of the file, where its name no longer leads to what was read."""
    log: tuple[str, ...]
    more: bool
    """Whether the file holds more that can be read at once."""
    final: bool
    """Whether nothing more can come."""


class Follower:
    """Reads on from where it stopped, every time it is asked.

    `alive` tells whether the recording process lives; without it the file's lock does, where there
    is one.
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
        """Bytes of the file when it was last looked at."""
        return self._silence.size

    @property
    def taken(self) -> int:
        """Bytes read, as far as they were whole lines."""
        return self._reader.offset

    def read(self) -> Reading:
        """Read at most a slice. Raises CaptureUnreadable where the file is no capture."""
        # Asked before reading: what a process wrote before it died is then read for certain.
        alive = None if self._alive is None else self._alive()
        file = self._opened()
        if file is None:
            return self._reading(living=alive, silent_s=0.0, lost=None, more=False)
        locked, found = is_locked(file.fileno()), os.fstat(file.fileno())
        silent_s = self._silence.since(found)
        lost = self._lost(found)
        more = not self._overwritten and self._feed(file, found.st_size)
        if self._overwritten:
            lost = "overwritten"
        return self._reading(
            living=self._living(alive, locked), silent_s=silent_s, lost=lost, more=more
        )

    def _opened(self) -> BinaryIO | None:
        """Return the file; None where the recording process has not made it yet."""
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
        """Read a slice; return whether there is more by now."""
        before = self.taken
        try:
            self._columns.feed(self._reader.poll(SLICE_BYTES, file))
            self._columns.torn = self._reader.torn
        except CaptureReplaced:
            self._overwritten = True
            return False
        return before < self.taken < size

    def _lost(self, found: os.stat_result) -> Lost | None:
        try:
            return None if os.path.samestat(found, self.path.stat()) else "replaced"
        except OSError:
            return "deleted"

    def _living(self, alive: bool | None, locked: bool | None) -> bool | None:  # noqa: FBT001
        """Whether the recorder lives; None where it can't be seen from here."""
        if alive is not None or locked:
            return alive or locked
        boot = self._columns.header.locked_on if self._columns.header else None
        seen = boot is not None and boot == read_boot_id()  # else its lock says nothing here
        return False if seen and locked is False else None

    def _reading(
        self, *, living: bool | None, silent_s: float | None, lost: Lost | None, more: bool
    ) -> Reading:
        columns = self._columns
        state = self._state(living=living, silent_s=silent_s, more=more)
        left = self._alive is not None and not living  # the process itself was seen to end
        return Reading(
            columns=columns.first(len(columns.rounds)),
            state=state,
            damaged=len(self._reader.damaged),
            torn=self._reader.torn,
            silent_s=silent_s,
            lost=lost,
            log=_tail(self._log),
            more=more,
            final=not more
            and (state in ENDED or left or lost == "overwritten" or bool(lost and not living)),
        )

    def _state(self, *, living: bool | None, silent_s: float | None, more: bool) -> State:
        if self._columns.end:
            return self._columns.end.status
        if living is False and not more:
            return "INCOMPLETE"
        if not self._columns.header:
            return "waiting"
        grows = silent_s is not None and silent_s <= SILENT_S
        if more and not living and (living is False or not grows):
            return "reading"  # nobody writes, and its last line is not read yet
        if more or grows:
            return "recording"
        return "silent" if living else "unseen"


class _Silence:
    """How long a file has not grown, by a clock that nobody sets.

    The file's own time only says how long it was silent before the first look.
    """

    def __init__(self) -> None:
        self.size = -1
        """Bytes at the last look; -1 before the first."""
        self._grew_s: float | None = None

    def since(self, found: os.stat_result) -> float | None:
        """Return the seconds since the file last grew; None: its time lies in the future."""
        now = time.monotonic()
        if self.size < 0:
            age_s = time.time() - found.st_mtime
            self._grew_s = now - max(age_s, 0.0) if age_s > -SILENT_S else None
        elif found.st_size != self.size:
            self._grew_s = now
        self.size = found.st_size
        return None if self._grew_s is None else now - self._grew_s


def read_all(path: Path) -> Reading:
    """Read a capture as far as it goes now. Raises CaptureUnreadable where it is none."""
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


def _tail(log: Path | None) -> tuple[str, ...]:
    """Return the last lines of the run's own output; none where it can't be read."""
    if log is None:
        return ()
    try:
        return tuple(read_end(log, _LOG_BYTES).splitlines())
    except OSError as trouble:
        return (f"can't read {log}: {trouble.strerror}",)
