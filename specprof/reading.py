"""Opens files of any origin: only a regular file is read, and only up to a stated size.

Knows files and bytes, not what they mean. A name may lead to a pipe without a writer, to a device
that never ends, or to a file that grows while it is read. So nothing here waits, and every read has
a bound. Every refusal is an OSError whose `strerror` says what was found and what to do. A caller
puts the file's name before it.
"""

import errno
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

MIB = 1 << 20
PIECE_BYTES = 1 << 16
MOST_POINTS = 32
"""In a line of TOML, those of decimal numbers aside; a key of ours has two."""
_DECIMAL = re.compile(r"\d\.\d", re.ASCII)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading, without waiting.

    Raises OSError for anything else, also for a name that no file can have.
    """
    try:
        _refuse_irregular(path, path.stat())  # opening a device may already do something
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as trouble:  # a null character, or half a character
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from trouble
    try:
        _refuse_irregular(path, os.fstat(file))  # it may have been changed in between
    except OSError:
        os.close(file)
        raise
    return os.fdopen(file, "rb")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file.

    The size that the system states is not used: a file may grow, and some files state none.

    Raises OSError if it is no regular file, or holds more than `most` bytes.
    """
    pieces, room = list[bytes](), most + 1
    with open_regular(path) as file:
        while room and (piece := os.read(file.fileno(), min(PIECE_BYTES, room))):
            pieces.append(piece)
            room -= len(piece)
    if not room:
        raise OSError(errno.EFBIG, f"it is larger than {_format_size(most)}", str(path))
    return b"".join(pieces)


def read_text(path: Path, most: int, encoding: str = "utf-8") -> str:
    r"""Return a regular file's text, with every line end as `\n`.

    Raises as `read_bytes` does, and UnicodeDecodeError if it is no text in that encoding.
    """
    text = read_bytes(path, most).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_end(path: Path, most: int) -> str:
    """Return the last `most` bytes of a regular file as text; raise OSError if it is none."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - most))
        return file.read(most).decode("utf-8", "replace")


def refuse_deep_keys(toml: str) -> None:
    """Raise ValueError for a line that may hold a key of very many parts, `a.a.a.a`.

    Python's reader of TOML takes minutes over some ten thousand parts.
    """
    for number, line in enumerate(toml.split("\n"), start=1):
        if line.count(".") > MOST_POINTS and _DECIMAL.sub("", line).count(".") > MOST_POINTS:
            title = f"line {number:,} has more than {MOST_POINTS} points, those of decimals aside"
            raise ValueError(title)


def is_regular(path: Path) -> bool:
    """Return whether the name leads to a regular file; False also for an impossible name."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def irregular_kind(mode: int) -> str | None:
    """Return the kind of file that a mode describes, such as `a pipe`; None for a regular file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def _refuse_irregular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind := irregular_kind(found.st_mode):
        reason = f"it is {kind}, no regular file; write it to a file first, and give that"
        raise OSError(errno.EINVAL, reason, str(path))


def _format_size(count: int) -> str:
    return f"{count // MIB} MiB" if count >= MIB else f"{count:,} bytes"
