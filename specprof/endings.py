"""What ends a program from outside: a signal, or the death of the process that started it.

Knows signals and processes; not what they end. A Ctrl-C, a SIGTERM, a closed terminal and the
death of the starter all become a KeyboardInterrupt that holds the reason. So one path closes what
is open.
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
"""Variable in a child's environment: a pipe's descriptor, a colon, and the reason if it closes."""
ONE_ENDING_S = 1.0
"""Signals within this time count as one, for a closed terminal sends several; not a Ctrl-C."""
CLOSING_S = 5.0
"""How long to wait for a child to close its capture; then it goes on alone."""
PATIENCE_S = 30.0
"""How long a recorder may take to close its capture: a long forward pass may have to finish."""
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, object], None]


class _Ending:
    """The signal that is to end this process, and the reason if one is known."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.depth = 0
        """How many `signals_as_interrupts` blocks are open, one inside another."""
        self.at_s = 0.0
        self.reason = ""
        self.held = self.late = False
        """`held`: no interrupt may be raised now. `late`: one came meanwhile."""

    def interrupt(self, number: int, _frame: object) -> None:
        """Raise KeyboardInterrupt for a signal; soon after another, only if both are Ctrl-C."""
        before, at_s = self.number, self.at_s
        self.number, self.at_s = number, time.monotonic()
        insisted = before == number == signal.SIGINT
        if before is None or insisted or self.at_s - at_s > ONE_ENDING_S:
            if self.held:
                self.late = True
                return
            raise KeyboardInterrupt(self.reason)


_ending = _Ending()


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Turn each signal that ends a program into a KeyboardInterrupt, inside the block."""
    _ending.depth += 1
    try:
        with handle_signals(_ending.interrupt, _ENDING):
            yield
    finally:
        _ending.depth -= 1
        if not _ending.depth:
            _ending.number, _ending.reason, _ending.late = None, "", False


def interrupt_due() -> KeyboardInterrupt | None:
    """Return the interrupt of a signal that came inside `signals_as_interrupts`; None if none came.

    It may have been lost: a foreign module may take it for its own error, a finaliser swallows it.
    """
    return None if _ending.number is None else KeyboardInterrupt(_ending.reason)


def end_by_code() -> None:
    """Let this process end with its documented exit code after an interrupt.

    If the interrupt passed through code that a C module ran, Python remembers it and ends by SIGINT
    instead, even if the interrupt was handled. Running any code in that way makes Python forget it.
    """
    import ctypes

    ctypes.pythonapi.PyRun_SimpleString(b"")


@contextlib.contextmanager
def handle_signals(handler: Handler, numbers: tuple[int, ...] = _ENDING[1:]) -> Iterator[None]:
    """Hand signals to `handler` inside the block, and put the old handlers back after it.

    An ignored signal stays ignored: `nohup` and a script's background jobs rely on that.
    """
    heard = [each for each in numbers if signal.getsignal(each) not in {signal.SIG_IGN, None}]
    if threading.current_thread() is not threading.main_thread():
        heard = []  # only the main thread may set handlers
    before = [signal.signal(number, handler) for number in heard]
    try:
        yield
    finally:
        for number, handled in zip(heard, before, strict=True):
            signal.signal(number, handled)


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Run the block to its end: an interrupt that comes inside it is raised after it.

    Use it for short blocks only: a second Ctrl-C can't end them either.
    """
    if not _ending.depth:  # a user's program that calls `specprof.record` has its own handlers
        with hold_signals(ending=False):
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
def hold_signals(*, ending: bool) -> Iterator[None]:
    """Hold signals back inside the block. Raise one after it, unless the run is `ending` anyway."""
    came = list[int]()
    with handle_signals(lambda number, _: came.append(number), _ENDING):
        yield
    for number in came[: 0 if ending else 1]:
        signal.raise_signal(signal.Signals(number))


@contextlib.contextmanager
def open_lifeline(meaning: str) -> Iterator[dict[str, Any]]:
    """Yield the `Popen` options of a child process that must end when this process dies.

    The child reads a pipe that only this process can write to. The system closes the pipe when this
    process dies, however that happens. The child then ends with `meaning` as the reason.
    """
    theirs, ours = os.pipe()
    try:
        environment = os.environ | {LIFELINE: f"{theirs}:{meaning}"}
        yield {"pass_fds": (theirs,), "env": environment}
    finally:
        os.close(theirs)
        os.close(ours)


def close_child(child: subprocess.Popen[bytes]) -> None:
    """Ask a child process to end, and wait `CLOSING_S` for it at most."""
    # Not by SIGINT: a script's background jobs inherit that signal ignored.
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(CLOSING_S)


def heed_lifeline() -> None:
    """End this process as a Ctrl-C would once its starter has died; needs the starter's pipe."""
    number, _, meaning = os.environ.pop(LIFELINE, "").partition(":")
    try:
        pipe = int(number)
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            return
        os.set_inheritable(pipe, False)
    except (ValueError, OverflowError, OSError):  # a variable that specprof did not set
        return
    threading.Thread(target=_watch_starter, args=(pipe, meaning), daemon=True).start()


def _watch_starter(pipe: int, meaning: str) -> None:
    while os.read(pipe, 1):
        pass
    if _ending.number is None:  # else a signal is ending it already
        _ending.reason = meaning
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)  # no user is left who could press Ctrl-C again
