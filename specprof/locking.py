"""Locks on files, so that a file has one writer. The system ends a lock when its holder ends.

Knows open files; not what is written into them. On a file system without locks the functions say
so: whether the file has another writer is then not known.
"""

import contextlib
import fcntl
import os
import stat
import time
from functools import cache
from pathlib import Path

from specprof import writing
from specprof.errors import UsageError
from specprof.reading import irregular_kind, open_regular, read_text

PATIENCE_S = 0.5
"""How long a writer retries: a reader that checks the lock holds it for microseconds."""
_RETRY_S = 0.01
MAX_CLAIMS = 10
"""How often a file is opened again if it was removed before it could be locked."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def lock(file: int) -> bool:
    """Lock an open file until it is closed; return False if its file system has no locks.

    Raises BlockingIOError if another process holds the lock.
    """
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise
            time.sleep(_RETRY_S)
        except OSError:
            return False
        else:
            return True


def is_locked(file: int) -> bool | None:
    """Return whether another process has locked the file; None if its system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


@cache
def read_boot_id() -> str | None:
    """Return the id of this machine's boot; None if the system gives none.

    A lock is seen only on its own machine, and ends with a restart.
    """
    try:
        return read_text(_BOOT, 100).strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def claim(path: Path, *, overwrite: bool) -> tuple[int, bool]:
    """Open the file at `path`, lock it and empty it; return its descriptor, and if it is locked.

    It is emptied only after it was locked. A link is never followed.

    Raises UsageError if the file is not empty and `overwrite` is not set, if another run has locked
    it, if it is no regular file, or if the system refuses it.
    """
    for _ in range(MAX_CLAIMS):
        file = writing.open_growing(path, overwrite=True)
        try:
            if not _can_lock(path, file):
                return file, False
            locked = _take_lock(path, file)
            if is_name_of(path, file):
                _truncate(path, file, overwrite=overwrite)
                return file, locked
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the run that held it has removed it since it was opened
    raise UsageError(f"can't write {path}: it is removed again and again", "choose another -o")


def _truncate(path: Path, file: int, *, overwrite: bool) -> None:
    """Empty the file. An empty file needs no `overwrite`: a run that ended early left it."""
    if os.fstat(file).st_size and not overwrite:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force")
    try:
        os.ftruncate(file, 0)
    except OSError as trouble:
        raise writing.write_error(path, trouble) from trouble


def _can_lock(path: Path, file: int) -> bool:
    """Return whether the file can be locked: a regular file can, a device can't; refuse others."""
    mode = os.fstat(file).st_mode
    kind = irregular_kind(mode)
    if kind and not stat.S_ISCHR(mode):
        hint = "choose a regular file with -o: a capture is read while it grows"
        raise UsageError(f"can't write {path}: it is {kind}, no regular file", hint)
    return kind is None


def _take_lock(path: Path, file: int) -> bool:
    try:
        return lock(file)
    except BlockingIOError:
        raise already_recorded_error(path) from None


def already_recorded_error(path: Path) -> UsageError:
    """Return the error for a file into which another run records."""
    title = f"{path} is being recorded by another run"
    return UsageError(title, "wait for that run to end, or choose another -o")


def refuse_recorded(path: Path) -> None:
    """Raise UsageError if another run records into the file; do nothing if no file is there."""
    with contextlib.suppress(OSError), open_regular(path) as file:
        if is_locked(file.fileno()):
            raise already_recorded_error(path)


def is_name_of(path: Path, file: int) -> bool:
    """Return whether the name leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False
