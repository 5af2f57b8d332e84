"""Ends a recording process so that its capture is kept: first asks it to end, later kills it.

Knows processes and signals; nothing of what is recorded.
"""

import contextlib
import signal
import sys
from subprocess import Popen, TimeoutExpired

from specprof.endings import close_child, handle_signals
from specprof.errors import INTERRUPTED

PATIENCE_S = 30.0
"""A long forward pass may have to finish before the recorder can close its capture."""


def end_without_terminal(
    child: Popen[bytes] | None,
) -> contextlib.AbstractContextManager[None]:
    """Inside the block: when the terminal is closed, end the child, then this process.

    Without a terminal nothing can be drawn, and code that waits for a key would wait for ever.
    """

    def leave(number: int, _frame: object) -> None:
        if child is not None:
            close_child(child)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(signal.Signals(number))

    return handle_signals(leave, (signal.SIGHUP,))


def stop_child(child: Popen[bytes], *, patience_s: float = PATIENCE_S) -> int:
    """Return the exit code of an ended child; ask a running child to end, and return 130.

    A child that doesn't end within `patience_s` is killed, or earlier by Ctrl-C; its capture stays
    readable.
    """
    if child.poll() is not None:
        return child.returncode if child.returncode >= 0 else 128 - child.returncode
    sys.stderr.write("stopping the run; press Ctrl-C again to kill it at once\n")
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(patience_s)
    except (KeyboardInterrupt, TimeoutExpired):
        sys.stderr.write("the run was killed; the capture so far is kept\n")
        child.kill()
        child.wait()
    return INTERRUPTED
