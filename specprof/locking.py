"""Who writes a file: a lock that ends with its holder, however that ends.

Knows open files; not what is written into them. Some file systems have no locks: there nobody can
tell, and every answer says so.
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
from specprof.reading import irregular, open_regular, read_text

PATIENCE_S = 0.5
"""A reader that looks holds the lock for microseconds; a writer tries again for so long."""
_AGAIN_S = 0.01
CLAIMS = 10
"""Times a file is opened anew where it was removed before it could be locked."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def lock(file: int) -> bool:
    """Take an open file's lock until the file is closed; False where its system has no locks.

    Raises BlockingIOError where somebody else holds it.
    """
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise
            time.sleep(_AGAIN_S)
        except OSError:
            return False
        else:
            return True


def is_locked(file: int) -> bool | None:
    """Whether somebody holds the lock of an open file; None where its system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


@cache
def this_boot() -> str | None:
    """Return what this machine calls the time since it was started; None where it has no name.

    A lock says nothing to another machine, nor after a restart.
    """
    try:
        return read_text(_BOOT, 100).strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def claimed(path: Path, *, overwrite: bool) -> tuple[int, bool]:
    """Return the file at `path`, empty and open, and whether it is locked.

    Nothing it holds is lost before it is known to be nobody else's. A link is never followed.

    Raises UsageError where it can't be had: it holds something and `overwrite` is not set, another
    run has it, it is no file, or the system refuses it.
    """
    for _ in range(CLAIMS):
        file = writing.opened(path, overwrite=True)
        try:
            if not _has_lock(path, file):
                return file, False
            locked = _locked(path, file)
            if leads_to(path, file):
                _empty(path, file, overwrite=overwrite)
                return file, locked
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the run that held it has removed it since it was opened
    raise UsageError(f"can't write {path}: it is removed again and again", "choose another -o")


def _empty(path: Path, file: int, *, overwrite: bool) -> None:
    """Empty the file; one that is empty was left by a run that ended before its first line."""
    if os.fstat(file).st_size and not overwrite:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force")
    try:
        os.ftruncate(file, 0)
    except OSError as trouble:
        raise writing.refused(path, trouble) from trouble


def _has_lock(path: Path, file: int) -> bool:
    """Whether it is a regular file: a device can be written to, and has no lock; others can't."""
    mode = os.fstat(file).st_mode
    kind = irregular(mode)
    if kind and not stat.S_ISCHR(mode):
        hint = "choose a file with -o: a capture is read while it grows, and cut back when torn"
        raise UsageError(f"can't write {path}: it is {kind}, no regular file", hint)
    return kind is None


def _locked(path: Path, file: int) -> bool:
    try:
        return lock(file)
    except BlockingIOError:
        raise recorded_already(path) from None


def recorded_already(path: Path) -> UsageError:
    """Return the error of a file that another run records into."""
    title = f"{path} is being recorded by another run"
    return UsageError(title, "wait for that run to end, or choose another -o")


def refuse_recorded(path: Path) -> None:
    """Raise UsageError where another run records into the file; it may well not be there."""
    with contextlib.suppress(OSError), open_regular(path) as file:
        if is_locked(file.fileno()):
            raise recorded_already(path)


def leads_to(path: Path, file: int) -> bool:
    """Whether the name is the open file's."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False
