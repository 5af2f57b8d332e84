"""Reads one input under watch: its time, its memory, its warnings, and what it would print.

Says what is bad, and what may well happen: a refusal (`SpecprofError`) is an answer like any other.
"""

import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from specprof.errors import SpecprofError

SECONDS = 5.0
"""Of wall time an input of some kilobytes may take."""
DEADLY_SECONDS = 30.0
"""Of processor time after which the process is ended: where no Python code runs, nothing else can
stop it."""
MEMORY_BYTES = 2**30
"""It may take of memory beyond what the process held before."""
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""Where a file system in memory is, on Linux: a disk's takes longer than most readers."""
PACKAGES = ("specprof", "plugins")
Read = Callable[[Path], str]
"""Reads a file, or refuses it; returns what a user would see of it."""


class Bad(AssertionError):
    """What no input may bring about; `kind` tells one such thing from another."""

    def __init__(self, kind: str, told: str) -> None:
        super().__init__(f"{kind}\n{told}")
        self.kind = kind


class TooLong(KeyboardInterrupt):
    """An input took longer than it may. Only an interrupt passes all that catches errors."""


def watched(read: Read, path: Path) -> bool:
    """Read a file under watch; return whether it was read, and not refused. Raises Bad."""
    try:
        with _in_time(), warnings.catch_warnings():
            warnings.simplefilter("error")
            told = read(path)
    except SpecprofError:  # its text is made plain where it is printed
        return False
    except Bad:
        raise
    except TooLong as error:
        raise Bad(f"hang in {_place(error)}", f"longer than {SECONDS} s") from None
    except Exception as error:
        kind = f"{type(error).__name__} in {_place(error)}"
        raise Bad(kind, "".join(traceback.format_exception(error))) from error
    _printable(told)
    return True


@contextmanager
def room() -> Iterator[Path]:
    """Give a folder for the files that are read, in memory where that can be."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Let this process take no more than `MEMORY_BYTES` beyond what it holds now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    bound_memory()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def bound_memory() -> None:
    """Do so for good."""
    held = _held_bytes()
    if held is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, hard))


def _held_bytes() -> int | None:
    """Return the address space this process has; None where the system doesn't say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()


@contextmanager
def _in_time() -> Iterator[None]:
    def stop(_number: int, _frame: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, DEADLY_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGALRM, before)


def _printable(told: str) -> None:
    """Refuse what would steer a terminal."""
    bare = told.translate(_SPACES)
    if not bare.isprintable():
        sign = next(each for each in bare if not each.isprintable())
        at = told.index(sign)
        raise Bad(f"unescaped {sign!r}", repr(told[max(0, at - 60) : at + 20]))


_SPACES = {ord(each): None for each in "\n\r\t"}


def _place(error: BaseException) -> str:
    """Return the innermost place in our own code that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if any(f"/{name}/" in each.filename for name in PACKAGES)]
    inner = (ours or list(frames))[-1]
    return f"{Path(inner.filename).name}:{inner.name}"


def costly(bad: Bad) -> bool:
    """Whether it is too costly to bring about again and again to make its input smaller."""
    return bad.kind.startswith(("hang", "MemoryError"))
