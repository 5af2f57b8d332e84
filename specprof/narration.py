"""What specprof prints on stderr, and the log that takes what libraries would print there.

During a run, messages of torch, transformers and other libraries go to a log, so that they do not
print over the screen. They come by Python's `warnings`, by a logger or by `sys.stderr`; and from a
few calls that are known for it, by compiled code that writes past Python. Two kinds of output still
go to the terminal: what other compiled code writes past Python, and the traceback of an exception
that ends the run or one of its threads.
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

STDERR_FILE = 2
"""The file descriptor to which compiled code writes its errors."""
MAX_COMPILED_BYTES = 1 << 20
"""Bytes of it that are kept of one call."""
LIBRARY_MARK = "| "
"""Marks a library's line in a file that holds specprof's own narration too."""


def narrate(line: str) -> None:
    """Print a line on stderr, with unprintable characters escaped; never to the libraries' log."""
    stream = _ASIDE.terminal
    stream.write(f"{plain(line)}\n")
    stream.flush()


def log_path(path: Path | None) -> Path:
    """Return the log of libraries' messages while `path` is written: PATH.log.

    None: no file is written, and the log is a temporary file.
    """
    if path is None:
        return Path(tempfile.gettempdir()) / f"specprof-{secrets.token_hex(6)}.log"
    return path.with_name(path.name + ".log")


@contextlib.contextmanager
def log_libraries(log: Path) -> Iterator[None]:
    """Send libraries' messages inside the block to `log`; name it on stderr if there were any.

    The first message makes the file. A file that exists already may be the user's own, so messages
    are appended to it.
    """
    shared = _is_stderr(log)
    before = set_library_log(log)
    _ASIDE.logged = False
    try:
        yield
    finally:
        _ASIDE.send_to(before)
        if not shared and _ASIDE.logged:
            narrate(f"what libraries said is in {log}")


@contextlib.contextmanager
def log_compiled_code() -> Iterator[None]:
    """Send what compiled code writes to stderr inside the block to the libraries' log.

    It is for short calls, during which nothing is narrated. Without a log nothing changes.
    """
    if _ASIDE.log is None:
        yield
        return
    _ASIDE.terminal.flush()
    with tempfile.TemporaryFile() as heard:
        kept = os.dup(STDERR_FILE)  # the command line opens it where it is closed
        os.dup2(heard.fileno(), STDERR_FILE)
        try:
            yield
        finally:
            os.dup2(kept, STDERR_FILE)
            os.close(kept)
            heard.seek(0)
            _ASIDE.write(heard.read(MAX_COMPILED_BYTES).decode("utf-8", "replace"))


def set_library_log(log: Path | None) -> Path | None:
    """Send libraries' messages to `log` from now on (None: to stderr); return the log before."""
    before = _ASIDE.log
    _ASIDE.send_to(log)
    return before


def library_log() -> Path | None:
    """Return the log that libraries' messages go to; None: they go to stderr."""
    return _ASIDE.log


def log_traceback(error: BaseException) -> None:
    """Write an error's traceback to the log of libraries' messages, if there is one.

    It is for a library's error that is shown in one line: the line alone may not say enough.
    """
    if _ASIDE.log is not None:
        _ASIDE.write("".join(traceback.format_exception(error)))


def drop_library_lines(text: str) -> str:
    """Return specprof's own lines of a shared log, without the libraries' lines."""
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(LIBRARY_MARK)
    )


class _Aside(io.TextIOBase):
    """Takes the place of `sys.stderr`. Libraries may keep it, so one object serves for ever.

    While no log is set, it passes everything to the terminal.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        self.log: Path | None = None
        self.logged = False
        """Whether a message went to a log of its own since `log_libraries` last reset this."""
        self._shared = self._midline = False
        self._before: TextIO | None = None
        self._hook: Callable[[Any], object] | None = None

    @property
    def terminal(self) -> TextIO:
        """The stream of specprof's own narration."""
        now = self._before if sys.stderr is self else sys.stderr
        return now or _NO_STDERR  # a process may be started without a stderr

    def send_to(self, log: Path | None) -> None:
        """Send what is written here to `log` from now on; None: to the terminal."""
        self.log, self._midline = log, False
        if log is None:
            self._restore()
            return
        if sys.stderr is not self:
            self._before, sys.stderr = sys.stderr, self
            self._hook, threading.excepthook = threading.excepthook, self._thread_failed
        self._shared = _is_stderr(log)
        _redirect_handlers({id(self._before), id(sys.stdout)}, self)

    def write(self, text: str) -> int:
        """Write a library's message to the log, or to the terminal if the log can't be written."""
        if self.log is None:
            return self.terminal.write(text)
        if not text:
            return 0
        try:
            self._write_log(self.log, text)
        except OSError:
            self.terminal.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the terminal; the log is written at once."""
        self.terminal.flush()

    def fileno(self) -> int:
        """Return the terminal's descriptor, for code that insists on a file."""
        return self.terminal.fileno()

    def isatty(self) -> bool:
        """Return whether this is a terminal; False while it goes to a log."""
        return self.log is None and self.terminal.isatty()

    def _write_log(self, log: Path, text: str) -> None:
        if self._shared:
            self.terminal.write(self._mark_lines(text))
            self.terminal.flush()
            return
        with open(_open_for_append(log), "a", encoding="utf-8", errors="replace") as file:
            file.write(text)
        self.logged = True

    def _mark_lines(self, text: str) -> str:
        lines = text.splitlines(keepends=True)
        whole = "".join(LIBRARY_MARK + line for line in lines)
        found = whole.removeprefix(LIBRARY_MARK) if self._midline else whole
        self._midline = not text.endswith("\n")
        return found

    def _thread_failed(self, args: Any) -> None:  # noqa: ANN401 - as threading hands it on
        """Show on the terminal what ended a thread: it is an error, no library's message."""
        if self._hook is not None:
            with contextlib.redirect_stderr(self.terminal):
                self._hook(args)

    def _restore(self) -> None:
        if sys.stderr is self:
            sys.stderr = self._before
        if self._hook is not None:
            threading.excepthook = self._hook
        self._hook = None


def _open_for_append(log: Path) -> int:
    """Open a log for appending; raise OSError if it is no regular file, or has a second name.

    Opening a pipe would wait for ever, and a file with a second name may be the user's own.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    file = os.open(log, flags, 0o666)
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file with one name", str(log))
    return file


def _redirect_handlers(streams: set[int], stream: "_Aside") -> None:
    """Let the loggers' handlers that write to one of `streams` write to `stream`."""
    named = logging.root.manager.loggerDict.values()
    for logger in (logging.root, *(each for each in named if isinstance(each, logging.Logger))):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and id(handler.stream) in streams:
                handler.setStream(stream)


def _is_stderr(log: Path) -> bool:
    """Return whether stderr goes to that file already, as in a run beside a dashboard."""
    try:
        return os.path.samestat(os.fstat(_ASIDE.terminal.fileno()), log.stat())
    except (OSError, ValueError):
        return False


_NO_STDERR = io.StringIO()
_ASIDE = _Aside()
