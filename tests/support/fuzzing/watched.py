"""Read one input under watch: its time, its memory, its warnings, and its output.

It raises `Bad` for all that must not happen. A refusal (`SpecprofError`) is a good answer.
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

MAX_SECONDS = 5.0
"""Wall time that an input of some kilobytes may take."""
MAX_PROCESSOR_SECONDS = 30.0
"""Processor time after which the process is ended: nothing else can stop it while no Python code
runs."""
MAX_MEMORY_BYTES = 2**30
"""Memory that an input may take beyond what the process held before."""
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
"""A file system in memory, on Linux; a disk takes longer than most readers."""
PACKAGES = ("specprof", "plugins")
Read = Callable[[Path], str]
"""Reads a file or refuses it, and returns the text that a user would see."""


class Bad(AssertionError):
    """Something that no input may cause; `kind` distinguishes causes."""

    def __init__(self, kind: str, details: str) -> None:
        super().__init__(f"{kind}\n{details}")
        self.kind = kind


class TooLong(KeyboardInterrupt):
    """An input took too long. It is an interrupt, because readers catch errors."""


def watch(read: Read, path: Path) -> bool:
    """Read a file under watch; return whether it was read, and not refused. Raises Bad."""
    try:
        with _limit_time(), warnings.catch_warnings():
            warnings.simplefilter("error")
            output = read(path)
    except SpecprofError:  # its text is escaped where it is printed
        return False
    except Bad:
        raise
    except TooLong as error:
        raise Bad(f"hang in {_place(error)}", f"longer than {MAX_SECONDS} s") from None
    except Exception as error:
        kind = f"{type(error).__name__} in {_place(error)}"
        raise Bad(kind, "".join(traceback.format_exception(error))) from error
    _check_printable(output)
    return True


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for the files to be read, in memory if possible."""
    with tempfile.TemporaryDirectory(
        dir=MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    ) as folder:
        yield Path(folder)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Inside the block, limit this process to `MAX_MEMORY_BYTES` beyond what it holds now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    bound_memory()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def bound_memory() -> None:
    """Limit this process to `MAX_MEMORY_BYTES` beyond what it holds now, until it ends."""
    held = _read_held_bytes()
    if held is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (held + MAX_MEMORY_BYTES, hard))


def _read_held_bytes() -> int | None:
    """Return the address space of this process; None if the system doesn't state it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()


@contextmanager
def _limit_time() -> Iterator[None]:
    def stop(_number: int, _frame: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_PROCESSOR_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGALRM, before)


def _check_printable(text: str) -> None:
    """Raise Bad for a text that would steer a terminal."""
    bare = text.translate(_SPACES)
    if not bare.isprintable():
        sign = next(each for each in bare if not each.isprintable())
        at = text.index(sign)
        raise Bad(f"unescaped {sign!r}", repr(text[max(0, at - 60) : at + 20]))


_SPACES = {ord(each): None for each in "\n\r\t"}


def _place(error: BaseException) -> str:
    """Return the innermost place in our own code on an error's way."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if any(f"/{name}/" in each.filename for name in PACKAGES)]
    inner = (ours or list(frames))[-1]
    return f"{Path(inner.filename).name}:{inner.name}"


def is_costly(bad: Bad) -> bool:
    """Return whether it costs too much to repeat it many times to make its input smaller."""
    return bad.kind.startswith(("hang", "MemoryError"))
