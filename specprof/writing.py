"""Makes output files: a new one exclusively, an old one replaced whole; links are never followed.

Knows paths and system calls; nothing of what is written. A place may lie in a folder that came from
somebody else, so what stands there already is looked at, never written through.
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

MAX_NAME_SIGNS = 40
"""Of a file's name made of foreign text: four bytes a sign, and room for endings, are below 255."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
"""The run failed; every other trouble is with the place that was asked for."""
HINT = "choose a writable place with -o PATH"
MODE = 0o666
"""Of a new file, before the user's umask."""
PRIVATE = ".specprof-"
"""How the name of a folder begins in which a file is made before it is moved to its place."""
Kind = Literal["nothing", "file", "folder", "link", "other"]


def found(path: Path) -> Kind:
    """Return what stands at `path` itself: a link is a link, wherever it leads.

    Raises UsageError where the system can't say: a name too long, a folder that can't be entered.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return "nothing"
    except (OSError, ValueError) as trouble:
        raise refused(path, trouble) from trouble
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def check_room(path: Path, *, overwrite: bool) -> None:
    """Refuse, with UsageError, a place that can't be written at: before a long run, not after it.

    A regular file in the way is refused unless `overwrite`; a link always is.
    """
    kind = found(path)
    if kind == "link":
        title = f"can't write {path}: it is a link, to {_led_to(path)}"
        raise UsageError(title, "give -o the file itself, or remove the link")
    if kind in {"folder", "other"}:
        title = f"can't write {path}: it is no regular file"
        raise UsageError(title, "choose a file with -o")
    if kind == "file" and not overwrite:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force")
    if not path.parent.is_dir():
        raise UsageError(f"can't write {path}: no such folder", "make it, or choose another -o")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"can't write {path}: its folder can't be written to", HINT)


@contextlib.contextmanager
def whole(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a place to write a file at; it is moved to `path` when the block ends well.

    So `path` is never half a file. The place lies in a private folder beside it, where nobody can
    have put a link. Raises UsageError where `path` can't be had, SpecprofError where room runs out.
    """
    check_room(path, overwrite=overwrite)
    private = None
    try:
        private = Path(tempfile.mkdtemp(prefix=PRIVATE, dir=path.parent))
        part = private / "part"
        yield part
        _move(part, path, overwrite=overwrite)
    except OSError as trouble:
        raise refused(path, trouble) from trouble
    finally:
        if private is not None:
            shutil.rmtree(private, ignore_errors=True)


def write(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a whole file, or leave what was there; raises as `whole` does."""
    with whole(path, overwrite=overwrite) as part:
        part.write_bytes(content)


def fresh(path: Path) -> BinaryIO:
    """Open a new file in place of an old regular one, which is let go, never written into.

    Raises UsageError where a link, a folder or a device is in the way.
    """
    check_room(path, overwrite=True)
    try:
        path.unlink(missing_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb")
    except OSError as trouble:
        raise refused(path, trouble) from trouble


def opened(path: Path, *, overwrite: bool) -> int:
    """Open a file to be written as it grows, and return its descriptor; nothing is cut off yet.

    Without `overwrite` it is new. With it, an old file is opened where it is, but never through a
    link, and not where the same file has another name elsewhere. Raises UsageError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW  # and not waiting for a pipe's reader:
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if overwrite else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, MODE)
    except FileExistsError:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force") from None
    except (OSError, ValueError) as trouble:
        check_room(path, overwrite=overwrite)  # it may be a link, which is told better there
        raise refused(path, trouble) from trouble
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1:
        os.close(descriptor)
        title = f"can't write {path}: the same file has another name elsewhere"
        raise UsageError(title, "choose another -o, or remove this name of it")
    return descriptor


def make_folder(path: Path) -> None:
    """Make a folder, or take the one that is there; a link to one is refused with UsageError."""
    if found(path) == "link":
        title = f"can't write into {path}: it is a link, to {_led_to(path)}"
        raise UsageError(title, "remove the link")
    try:
        path.mkdir(exist_ok=True)
    except OSError as trouble:
        raise refused(path, trouble) from trouble


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse, with UsageError, a folder in which one of the named files is a link."""
    for name in names:
        if found(folder / name) == "link":
            title = f"{folder / name} is a link, to {_led_to(folder / name)}"
            raise UsageError(title, "nothing is written through a link: remove it")


def file_name(text: str) -> str:
    """Return foreign text as one file's name: no folder, no dot in front, no sign that steers."""
    words = re.sub(r"[^\w.=+-]+", "-", text).strip("-.")[:MAX_NAME_SIGNS].rstrip("-.")
    return words or "unnamed"


def refused(path: Path, trouble: OSError | ValueError) -> SpecprofError:
    """Return the error of a place that couldn't be written to, or of a full disk."""
    reason = getattr(trouble, "strerror", None) or str(trouble)
    title = f"can't write {path}: {reason}"
    if getattr(trouble, "errno", None) in NO_ROOM:
        return SpecprofError(title, "make room, or choose another place with -o PATH")
    return UsageError(title, HINT)


def _move(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give the file its name, in one step; a link that stands there is replaced, not followed."""
    if overwrite:
        part.replace(path)
        return
    try:
        os.link(part, path)  # unlike a rename it fails where somebody was quicker
    except FileExistsError:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force") from None
    except OSError:  # a file system without hard links: the name is taken first
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
        part.replace(path)


def _led_to(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return "nobody knows where"
