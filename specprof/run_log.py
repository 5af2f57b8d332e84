"""The log of a run with a dashboard: under which name it is written, and what it may overwrite.

The name is made from the capture's. A file of that name may be the user's own.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from specprof import writing
from specprof.errors import SpecprofError
from specprof.locking import claim
from specprof.narration import LIBRARY_MARK, log_path
from specprof.reading import open_regular

MAX_LOG_NAMES = 100
"""Names tried for the log of one capture."""
OPENING_BYTES = 64
"""Bytes by which the log of a run is known."""
_OPENS_A_LOG = re.compile(rb"\[ *\d+\.\d s\] |" + re.escape(LIBRARY_MARK).encode()).match


def choose_log(path: Path, *, force: bool) -> Path:
    """Return the file for a run's log: CAPTURE.log, or a numbered one if that is not empty.

    With `force` the log of an earlier run is used again, and no other file of that name.
    """
    names = [
        log_path(path),
        *(path.with_name(f"{path.name}.{n}.log") for n in range(2, MAX_LOG_NAMES + 1)),
    ]
    return next((log for log in names if _is_unused(log) or (force and _is_a_runs(log))), names[0])


def _is_unused(log: Path) -> bool:
    """Return whether writing there loses nothing: no file is there, or an empty one."""
    kind = writing.kind_of(log)
    return kind == "nothing" or (kind == "file" and not log.lstat().st_size)


def _is_a_runs(log: Path) -> bool:
    """Return whether the file is the log of a run, by its first line."""
    try:
        if writing.kind_of(log) != "file":
            return False
        with open_regular(log) as file:
            return _OPENS_A_LOG(file.read(OPENING_BYTES)) is not None
    except (OSError, SpecprofError):
        return False


@contextlib.contextmanager
def open_log(log: Path, *, force: bool = False) -> Iterator[int]:
    """Open the log of a run. It is locked as long as the run or its viewer has it open.

    A file that is not empty is overwritten only with `force`, and only if it is a run's log.

    Raises UsageError.
    """
    file, _ = claim(log, overwrite=force and _is_a_runs(log))
    try:
        yield file
    finally:
        os.close(file)
