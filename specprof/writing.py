"""Makes output files: a new file exclusively, an old file replaced as a whole; never by a link.

Knows paths and system calls; nothing of what is written. A folder may come from a stranger. So what
is there already is looked at first, and no link is followed.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from specprof.errors import SpecprofError, UsageError

MAX_NAME_CHARS = 40
"""Characters of a file's name made of foreign text: 160 bytes at most, of 255 that a name has."""
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
"""With these errors the run failed. With any other, the user asked for a wrong place."""
PLACE_HINT = "choose a writable place with -o PATH"
FILE_MODE = 0o666
"""Permissions of a new file, before the user's umask."""
PRIVATE_PREFIX = ".specprof-"
"""Start of the name of a folder in which a file is made before it is moved to its place."""
Kind = Literal["nothing", "file", "folder", "link", "other"]


def kind_of(path: Path) -> Kind:
    """Return the kind of file at `path` itself: a link is not followed.

    Raises UsageError if the system can't look: a name too long, a folder that can't be entered.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return "nothing"
    except (OSError, ValueError) as trouble:
        raise write_error(path, trouble) from trouble
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def check_room(path: Path, *, overwrite: bool) -> None:
    """Refuse, with UsageError, a path that can't be written: before a long run, not after it.

    A regular file that exists is refused unless `overwrite`. A link is always refused.
    """
    kind = kind_of(path)
    if kind == "link":
        title = f"can't write {path}: it is a link, to {_link_target(path)}"
        raise UsageError(title, "give -o the file itself, or remove the link")
    if kind in {"folder", "other"}:
        title = f"can't write {path}: it is no regular file"
        raise UsageError(title, "choose a file with -o")
    if kind == "file" and not overwrite:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force")
    if not path.parent.is_dir():
        raise UsageError(f"can't write {path}: no such folder", "make it, or choose another -o")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"can't write {path}: its folder can't be written to", PLACE_HINT)


@contextlib.contextmanager
def make_whole_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path to write a file at; the file is moved to `path` if the block ends without error.

    So `path` is never half a file. The file is made in a private folder beside `path`, so that no
    link can be in its place.

    Raises UsageError if `path` can't be written, SpecprofError if the disk is full.
    """
    check_room(path, overwrite=overwrite)
    private = None
    try:
        private = Path(tempfile.mkdtemp(prefix=PRIVATE_PREFIX, dir=path.parent))
        part = private / "part"
        yield part
        _move_into_place(part, path, overwrite=overwrite)
    except OSError as trouble:
        raise write_error(path, trouble) from trouble
    finally:
        if private is not None:
            shutil.rmtree(private, ignore_errors=True)


def write(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a file as a whole, or leave what was there; raise as `make_whole_file` does."""
    with make_whole_file(path, overwrite=overwrite) as part:
        part.write_bytes(content)


def open_fresh(path: Path) -> BinaryIO:
    """Open a new file at `path`. An old regular file there is removed, not written into.

    Raises UsageError if a link, a folder or a device is there.
    """
    check_room(path, overwrite=True)
    try:
        path.unlink(missing_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb")
    except OSError as trouble:
        raise write_error(path, trouble) from trouble


def open_growing(path: Path, *, overwrite: bool) -> int:
    """Open a file that will grow, and return its descriptor; an old file keeps its content.

    Without `overwrite` the file is new. With it, an old file is opened, but never through a link.

    Raises UsageError if it can't be opened, or has a second name elsewhere.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW  # the next flags don't wait for a pipe:
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if overwrite else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, FILE_MODE)
    except FileExistsError:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force") from None
    except (OSError, ValueError) as trouble:
        check_room(path, overwrite=overwrite)  # it has a better message for a link
        raise write_error(path, trouble) from trouble
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1:
        os.close(descriptor)
        title = f"can't write {path}: this file has another name elsewhere"
        raise UsageError(title, "choose another -o, or remove this name of it")
    return descriptor


def make_folder(path: Path) -> None:
    """Make a folder, or use the folder that is there; refuse a link to one with UsageError."""
    if kind_of(path) == "link":
        title = f"can't write into {path}: it is a link, to {_link_target(path)}"
        raise UsageError(title, "remove the link")
    try:
        path.mkdir(exist_ok=True)
    except OSError as trouble:
        raise write_error(path, trouble) from trouble


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse, with UsageError, a folder in which one of the named files is a link."""
    for name in names:
        if kind_of(folder / name) == "link":
            title = f"{folder / name} is a link, to {_link_target(folder / name)}"
            raise UsageError(title, "nothing is written through a link: remove the link")


def safe_file_name(text: str) -> str:
    """Return foreign text as a file's name: no folder, no dot in front, no control characters."""
    words = re.sub(r"[^\w.=+-]+", "-", text).strip("-.")[:MAX_NAME_CHARS].rstrip("-.")
    return words or "unnamed"


def write_error(path: Path, trouble: OSError | ValueError) -> SpecprofError:
    """Return the error for a path that couldn't be written, or for a full disk."""
    reason = getattr(trouble, "strerror", None) or str(trouble)
    title = f"can't write {path}: {reason}"
    if getattr(trouble, "errno", None) in DISK_ERRORS:
        return SpecprofError(title, "make room, or choose another place with -o PATH")
    return UsageError(title, PLACE_HINT)


def _move_into_place(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give the file its name in one step; a link at that name is replaced, not followed."""
    if overwrite:
        part.replace(path)
        return
    try:
        os.link(part, path)  # unlike a rename it fails if another process was quicker
    except FileExistsError:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force") from None
    except OSError:  # on a file system without hard links the name is reserved first
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        part.replace(path)


def _link_target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return "an unknown place"
