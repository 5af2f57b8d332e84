"""Ending a recorder: asked first, killed only if it won't."""

import signal
import subprocess
import sys

from specprof.errors import INTERRUPTED
from specprof.tui.stop import stop_child

READY = "print('ready', flush=True);"
GENTLE = (
    "import signal, time\n"
    "def end(*_): raise SystemExit(print('closed', flush=True))\n"
    f"signal.signal(signal.SIGTERM, end); {READY} time.sleep(60)"
)
STUBBORN = (
    f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY} time.sleep(60)"
)


def started(code: str):
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_running_child_is_interrupted_and_closes_by_itself(capsys):
    """SIGTERM lets it finish its work, also where Ctrl-C is ignored; it counts as interrupted."""
    with started(GENTLE) as child:
        assert stop_child(child) == INTERRUPTED
        assert child.stdout.read() == "closed\n"
    assert child.returncode == 0
    assert "stopping the run" in capsys.readouterr().err


def test_a_child_that_will_not_end_is_killed(capsys):
    """After the patience given it is ended for good, and that is said."""
    with started(STUBBORN) as child:
        assert stop_child(child, patience_s=0.2) == INTERRUPTED
    assert child.returncode == -signal.SIGKILL
    assert "killed" in capsys.readouterr().err


def test_a_child_that_ended_passes_its_code_on():
    """An exit code is returned as it is, a deadly signal as 128 plus its number."""
    for code, expected in (
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ):
        child = subprocess.Popen([sys.executable, "-c", code])
        child.wait()
        assert stop_child(child) == expected
