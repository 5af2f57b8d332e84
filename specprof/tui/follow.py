"""Follows a capture file, growing or finished, and says how much of it can be trusted.

Knows the file and, where there is one, whether the recording process still lives; nothing of
screens, and never a model: this runs in a process of its own beside the one that is measured.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from specprof.analysis.columns import Columns
from specprof.capture import CaptureReader
from specprof.errors import CaptureUnreadable
from specprof.tui.snapshot import State

SLICE_BYTES = 1 << 20
"""Read at a time, so that a long capture shows its beginning at once."""
SILENT_S = 30.0
"""A file without a closing line that hasn't grown for so long counts as INCOMPLETE."""
_LOG_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Reading:
    """A capture as far as it has been read."""

    columns: Columns
    """A view of their own: feeding goes on behind it."""
    state: State
    damaged: int
    torn: bool
    silent_s: float
    log: tuple[str, ...]
    more: bool
    """Whether the file holds more that can be read at once."""

    @property
    def final(self) -> bool:
        """Whether nothing more can come."""
        return not self.more and self.state not in {"waiting", "recording"}


class Follower:
    """Reads on from where it stopped, every time it is asked.

    `alive` tells whether the recording process lives; without it only the file can tell.
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
        self._taken = 0
        """Bytes read, as far as is certain: the file may grow between a look and a read."""

    def read(self) -> Reading:
        """Read at most a slice. Raises CaptureUnreadable where the file is no capture."""
        # Asked before reading: what a process wrote before it died is then read for certain.
        alive = None if self._alive is None else self._alive()
        if alive is not None and not self.path.exists():
            return self._reading(0.0, alive=alive, more=False)
        size, silent_s = self._size_and_silence()
        self._columns.feed(self._reader.poll(SLICE_BYTES))
        self._taken = min(self._taken + SLICE_BYTES, size)
        return self._reading(silent_s, alive=alive, more=self._taken < size)

    def _size_and_silence(self) -> tuple[int, float]:
        try:
            found = self.path.stat()
        except OSError:  # the reader tells this better
            return 0, 0.0
        return found.st_size, max(0.0, time.time() - found.st_mtime)

    def _reading(self, silent_s: float, *, alive: bool | None, more: bool) -> Reading:
        columns = self._columns
        return Reading(
            columns=columns.first(len(columns.rounds)),
            state=self._state(silent_s, alive=alive, more=more),
            damaged=len(self._reader.damaged),
            torn=self._reader.torn,
            silent_s=silent_s,
            log=_tail(self._log),
            more=more,
        )

    def _state(self, silent_s: float, *, alive: bool | None, more: bool) -> State:
        if self._columns.end:
            return self._columns.end.status
        dead = alive is False or (alive is None and silent_s > SILENT_S)
        if dead and not more:
            return "INCOMPLETE"
        return "recording" if self._columns.header else "waiting"


def read_all(path: Path) -> Reading:
    """Read a capture as far as it goes now. Raises CaptureUnreadable where it is none."""
    follower = Follower(path)
    reading = follower.read()
    while reading.more:
        reading = follower.read()
    if reading.columns.header is None:
        hint = "the run may have been stopped before its first line; record again"
        raise CaptureUnreadable(f"{path} holds no complete line", hint)
    return reading


def _tail(log: Path | None) -> tuple[str, ...]:
    """Return the last lines of the run's own output; none where it can't be read."""
    if log is None:
        return ()
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return tuple(file.read().decode("utf-8", "replace").splitlines())
    except OSError as trouble:
        return (f"can't read {log}: {trouble.strerror}",)
