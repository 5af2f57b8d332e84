"""Ends a recording process the way that keeps its capture: asks first, insists later.

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


def at_once_without_terminal(
    child: Popen[bytes] | None,
) -> contextlib.AbstractContextManager[None]:
    """End this process when its terminal is closed, inside the block, and its child before it.

    There is nobody to draw for, and whatever waits for a key would wait for ever.
    """

    def leave(number: int, _frame: object) -> None:
        if child is not None:
            close_child(child)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(signal.Signals(number))

    return handle_signals(leave, (signal.SIGHUP,))


def ended(child: Popen[bytes], *, patience_s: float = PATIENCE_S) -> int:
    """Return the child's exit code; ask it to end where it still runs, and then return 130.

    Ctrl-C while waiting, or no end within `patience_s`, kills it; the capture stays readable.
    """
    if child.poll() is not None:
        return child.returncode if child.returncode >= 0 else 128 - child.returncode
    sys.stderr.write("stopping the run; Ctrl-C again ends it at once\n")
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(patience_s)
    except (KeyboardInterrupt, TimeoutExpired):
        sys.stderr.write("the run was killed; what it wrote is kept\n")
        child.kill()
        child.wait()
    return INTERRUPTED
