"""Writes a capture: one JSON line an event, at once, so that it can be read while it grows.

Knows lines and bytes; nothing of models. A line goes out in one `write`, alone or with the lines
that follow it at once, so a killed run leaves at most one torn last line. A full disk stops the
recording, never the run.
"""

import contextlib
import os
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from specprof.locking import claim, is_name_of, read_boot_id
from specprof.plain import as_json
from specprof.records import Event, Header


class CaptureWriter:
    """Appends events to a new file; `lost` counts the events that could not be written.

    The file is locked while it is open, so that it has one writer. A process that is forked from
    this one keeps no hold on it.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self.write_ns = 0
        self.lost = 0
        self.trouble: str | None = None
        """Why recording stopped, in the system's words; None while it goes on."""
        self._place = Path(os.path.abspath(path))  # noqa: PTH100 - a link stays a link
        self._file, self.locked = claim(path, overwrite=overwrite)
        self._length = 0
        self._held: list[bytes] = []
        _writers.add(self)

    @property
    def gone(self) -> bool:
        """Whether the open file has lost its name: it was deleted, or another took its place."""
        return not is_name_of(self._place, self._file)

    def write(self, event: Event, *, more: bool = False) -> None:
        """Append one event. With `more`, other events follow at once, and it is written with them.

        It never raises. After a failed write, events are only counted.
        """
        started = time.perf_counter_ns()
        if isinstance(event, Header):
            boot = read_boot_id() if self.locked else None
            event = msgspec.structs.replace(event, locked_on=boot)
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

    def forget(self) -> None:
        """Remove the open file; if another file has taken its name, leave that alone."""
        if not self.gone:
            self._place.unlink()

    def let_go(self) -> None:
        """Close the file and write nothing, in a process that was forked from the recording one."""
        self._held, self.trouble = [], "this process was forked from the recording one"
        self.close()

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


_writers: weakref.WeakSet[CaptureWriter] = weakref.WeakSet()


def _let_go_all() -> None:
    for writer in list(_writers):
        writer.let_go()


os.register_at_fork(after_in_child=_let_go_all)  # else a lock would outlive its holder


def _line(event: Event) -> bytes:
    return as_json(event) + b"\n"
