"""What is said on stderr, and where what libraries would say there goes.

stderr is narration, and it is ours. While a run is made, what torch, transformers and others say
by Python's `warnings`, by a logger or straight to `sys.stderr` goes to a log, so that nobody's
screen is printed over. What their compiled code writes to the terminal past Python goes there only
from short calls that are known to do so: a panic of the tokenizers'. Left alone are
errors: an exception that ends the run, or a thread of it, is shown where it always was.
"""

import contextlib
import errno
import io
import logging
import os
import secrets
import stat
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from specprof.plain import plain

STDERR = 2
"""The number that compiled code writes its errors to."""
MOST_HEARD = 1 << 20
"""Bytes of that which are kept of one call."""
MARK = "| "
"""Begins a library's line where our own narration goes to the same file."""


def tell(line: str) -> None:
    """Say a line on stderr, fit to print, whatever is put aside at the moment."""
    stream = _ASIDE.terminal
    stream.write(f"{plain(line)}\n")
    stream.flush()


def log_for(path: Path | None) -> Path:
    """Return where what libraries say while `path` is written goes: PATH.log.

    Where nothing is kept (None) it is among the machine's temporary files.
    """
    if path is None:
        return Path(tempfile.gettempdir()) / f"specprof-{secrets.token_hex(6)}.log"
    return path.with_name(path.name + ".log")


@contextlib.contextmanager
def aside(log: Path) -> Iterator[None]:
    """Send what libraries say inside the block to `log`; name it on stderr if they said anything.

    The file is made with the first word. One that is there already may be the user's own: what
    libraries say is appended to it.
    """
    shared = _is_stderr(log)
    before = put_aside(log)
    _ASIDE.logged = False
    try:
        yield
    finally:
        _ASIDE.goes_to(before)
        if not shared and _ASIDE.logged:
            tell(f"what libraries said is in {log}")


@contextlib.contextmanager
def compiled_aside() -> Iterator[None]:
    """Send what compiled code writes to stderr inside the block the way libraries' words go.

    For short calls during which nobody narrates. Nothing changes where nothing is put aside.
    """
    if _ASIDE.log is None:
        yield
        return
    _ASIDE.terminal.flush()
    with tempfile.TemporaryFile() as heard:
        kept = os.dup(STDERR)  # the command line opens it where it is closed
        os.dup2(heard.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            heard.seek(0)
            _ASIDE.write(heard.read(MOST_HEARD).decode("utf-8", "replace"))


def put_aside(log: Path | None) -> Path | None:
    """Send what libraries say from here on to `log`, None: to stderr; return where it went."""
    before = _ASIDE.log
    _ASIDE.goes_to(log)
    return before


def said_to() -> Path | None:
    """Return the log that what libraries say goes to; None: nothing is put aside."""
    return _ASIDE.log


def log_traceback(error: BaseException) -> None:
    """Write where an error came from to the log of what libraries say; nothing where there is none.

    For a library's error that is shown in one line: the line alone may not say enough.
    """
    if _ASIDE.log is not None:
        _ASIDE.write("".join(traceback.format_exception(error)))


def own_lines(text: str) -> str:
    """Return what of a shared log is our own: no library's lines."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(MARK))


class _Aside(io.TextIOBase):
    """Stands where `sys.stderr` stood; libraries may keep it, so there is one for good.

    While nothing is put aside it is the terminal.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        self.log: Path | None = None
        self.logged = False
        """Whether anything went to the log of its own since that was asked for last."""
        self._shared = self._midline = False
        self._before: TextIO | None = None
        self._hook: Callable[[Any], object] | None = None

    @property
    def terminal(self) -> TextIO:
        """Where our own narration goes."""
        now = self._before if sys.stderr is self else sys.stderr
        return now or _NOWHERE  # a process may be started without any

    def goes_to(self, log: Path | None) -> None:
        """Send what is written here to a log from now on; None: to the terminal."""
        self.log, self._midline = log, False
        if log is None:
            self._give_back()
            return
        if sys.stderr is not self:
            self._before, sys.stderr = sys.stderr, self
            self._hook, threading.excepthook = threading.excepthook, self._thread_failed
        self._shared = _is_stderr(log)
        _redirect({id(self._before), id(sys.stdout)}, self)

    def write(self, text: str) -> int:
        """Write what a library says; where its log can't be written, to the terminal."""
        if self.log is None:
            return self.terminal.write(text)
        if not text:
            return 0
        try:
            self._logged(self.log, text)
        except OSError:
            self.terminal.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the terminal; the log is written at once."""
        self.terminal.flush()

    def fileno(self) -> int:
        """Return the terminal's, for who insists on a file."""
        return self.terminal.fileno()

    def isatty(self) -> bool:
        """Return whether this is a terminal: not while it goes to a log."""
        return self.log is None and self.terminal.isatty()

    def _logged(self, log: Path, text: str) -> None:
        if self._shared:
            self.terminal.write(self._marked(text))
            self.terminal.flush()
            return
        with open(_appendable(log), "a", encoding="utf-8", errors="replace") as file:
            file.write(text)
        self.logged = True

    def _marked(self, text: str) -> str:
        lines = text.splitlines(keepends=True)
        whole = "".join(MARK + line for line in lines)
        found = whole.removeprefix(MARK) if self._midline else whole
        self._midline = not text.endswith("\n")
        return found

    def _thread_failed(self, args: Any) -> None:  # noqa: ANN401 - as threading hands it on
        """Show what ended a thread: it is no library's remark."""
        if self._hook is not None:
            with contextlib.redirect_stderr(self.terminal):
                self._hook(args)

    def _give_back(self) -> None:
        if sys.stderr is self:
            sys.stderr = self._before
        if self._hook is not None:
            threading.excepthook = self._hook
        self._hook = None


def _appendable(log: Path) -> int:
    """Open a log to be appended to; OSError where it is no regular file, or has another name.

    A pipe would be waited for, and what has another name may be a file of the user's own.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    file = os.open(log, flags, 0o666)
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file with one name", str(log))
    return file


def _redirect(streams: set[int], stream: "_Aside") -> None:
    """Give handlers that loggers already have, and that write to one of `streams`, another."""
    named = logging.root.manager.loggerDict.values()
    for logger in (logging.root, *(each for each in named if isinstance(each, logging.Logger))):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and id(handler.stream) in streams:
                handler.setStream(stream)


def _is_stderr(log: Path) -> bool:
    """Return whether stderr goes to that very file already: a dashboard's recorder says it all."""
    try:
        return os.path.samestat(os.fstat(_ASIDE.terminal.fileno()), log.stat())
    except (OSError, ValueError):
        return False


_NOWHERE = io.StringIO()
_ASIDE = _Aside()
