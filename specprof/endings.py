"""How a program is told to end: by a signal, or because whoever started it has died.

Knows signals and processes; not what is ended. Whatever ends a program, a Ctrl-C, a SIGTERM, a
closed terminal or the death of its starter, it becomes a KeyboardInterrupt with the reason in it,
so that one path closes what is open.
"""

import contextlib
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

LIFELINE = "SPECPROF_LIFELINE"
"""In the environment of a child: a pipe's descriptor, a colon, what it means when it ends."""
ONE_ENDING_S = 1.0
"""Signals within so long are one ending: a closed terminal sends several. A Ctrl-C is meant."""
CLOSING_S = 5.0
"""Given to a child nobody watches any more to close its capture; then it is on its own."""
PATIENCE_S = 30.0
"""A long forward pass may have to finish before a recorder can close its capture."""
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, object], None]


class _Ending:
    """What has told this process to end: the last signal, and the reason where one is known."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.depth = 0
        """Blocks that are open, one inside another."""
        self.at_s = 0.0
        self.reason = ""
        self.held = self.late = False
        """Whether no interrupt may be raised now, and whether one came meanwhile."""

    def interrupt(self, number: int, _frame: object) -> None:
        """Take a signal as a Ctrl-C; another that comes with it says nothing new, but a Ctrl-C."""
        told, at_s = self.number, self.at_s
        self.number, self.at_s = number, time.monotonic()
        insisted = told == number == signal.SIGINT
        if told is None or insisted or self.at_s - at_s > ONE_ENDING_S:
            if self.held:
                self.late = True
                return
            raise KeyboardInterrupt(self.reason)


_ending = _Ending()


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Turn each signal that ends a program into a KeyboardInterrupt, inside the block."""
    _ending.depth += 1
    try:
        with on_signals(_ending.interrupt, _ENDING):
            yield
    finally:
        _ending.depth -= 1
        if not _ending.depth:
            _ending.number, _ending.reason, _ending.late = None, "", False


def interrupt_due() -> KeyboardInterrupt | None:
    """Return what this process was told to end by, inside `as_interrupts`; None if it wasn't.

    A foreign module may take the interrupt for an error of its own; a finaliser swallows it.
    """
    return None if _ending.number is None else KeyboardInterrupt(_ending.reason)


def end_by_code() -> None:
    """Let this process end with an exit code after an interrupt, as it is documented.

    Python ends by SIGINT instead where the interrupt passed through code that a C module ran, also
    if it was dealt with since. Running anything that way forgets it.
    """
    import ctypes

    ctypes.pythonapi.PyRun_SimpleString(b"")


@contextlib.contextmanager
def on_signals(handler: Handler, numbers: tuple[int, ...] = _ENDING[1:]) -> Iterator[None]:
    """Hand signals to `handler` inside the block, and put back what was there.

    A signal that is ignored stays so: `nohup` and a script's background ask for that.
    """
    heard = [each for each in numbers if signal.getsignal(each) not in {signal.SIG_IGN, None}]
    if threading.current_thread() is not threading.main_thread():
        heard = []  # only the main thread may
    before = [signal.signal(number, handler) for number in heard]
    try:
        yield
    finally:
        for number, handled in zip(heard, before, strict=True):
            signal.signal(number, handled)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Do the block whole: an interrupt that comes inside it is raised behind it.

    Short blocks only: a second Ctrl-C can't end them either.
    """
    if not _ending.depth:  # a program of somebody's, with handlers of its own
        with undisturbed(ending=False):
            yield
        return
    _ending.held = True
    try:
        yield
    finally:
        _ending.held = False
    if _ending.late:
        _ending.late = False
        raise KeyboardInterrupt(_ending.reason)


@contextlib.contextmanager
def undisturbed(*, ending: bool) -> Iterator[None]:
    """Hold signals back inside the block; they come after it, unless the run is `ending` anyway."""
    came = list[int]()
    with on_signals(lambda number, _: came.append(number), _ENDING):
        yield
    for number in came[: 0 if ending else 1]:
        signal.raise_signal(signal.Signals(number))


@contextlib.contextmanager
def lifeline(meaning: str) -> Iterator[dict[str, Any]]:
    """Yield the options of a child process that is to end when this one dies, however it dies.

    The child takes `meaning` as the reason. It hears of it by a pipe that only this process can
    write to, and that the system closes with it.
    """
    theirs, ours = os.pipe()
    try:
        environment = os.environ | {LIFELINE: f"{theirs}:{meaning}"}
        yield {"pass_fds": (theirs,), "env": environment}
    finally:
        os.close(theirs)
        os.close(ours)


def close(child: subprocess.Popen[bytes]) -> None:
    """Ask a child process to end, and wait a little for it."""
    # Not by SIGINT: whoever is started in the background of a script inherits it ignored.
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(CLOSING_S)


def heed_lifeline() -> None:
    """End this process like a Ctrl-C once its starter has died; nothing where none was given."""
    number, _, meaning = os.environ.pop(LIFELINE, "").partition(":")
    try:
        pipe = int(number)
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            return
        os.set_inheritable(pipe, False)
    except (ValueError, OverflowError, OSError):  # somebody else's variable
        return
    threading.Thread(target=_watch, args=(pipe, meaning), daemon=True).start()


def _watch(pipe: int, meaning: str) -> None:
    while os.read(pipe, 1):
        pass
    if _ending.number is None:  # else it was told by a signal before
        _ending.reason = meaning
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)  # nobody is left who could insist
