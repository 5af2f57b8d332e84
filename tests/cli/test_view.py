"""``specprof view`` as it is typed: in a pipe it prints, on a terminal it draws and can be left."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from captures import healthy
from specprof.capture import read_capture

VIEW = [sys.executable, "-m", "specprof", "view"]
RECORDER = """
import signal, sys, time
from pathlib import Path
from captures import events
from specprof.capture_writer import CaptureWriter
from specprof.records import End
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a real run takes it
header, *rest = events(stops=40, max_new_tokens=50)
with CaptureWriter(Path(sys.argv[1])) as writer:
    writer.write(header)
    try:
        for event in rest:
            writer.write(event)
            time.sleep(0.02)
    except KeyboardInterrupt:
        writer.write(
            End(status="interrupted", wall_ns=1, rounds=1, emitted=1, write_ns=writer.write_ns)
        )
"""
SCREEN = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
SHOW = """
import subprocess, sys
from pathlib import Path
from specprof.tui.app import show
path = Path(sys.argv[1])
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], str(path)], stdin=subprocess.DEVNULL)
sys.exit(show(path, child))
"""


@pytest.fixture
def path(tmp_path):
    return healthy(tmp_path / "run.jsonl")


def typed(*arguments, **options):
    return subprocess.run(
        [*VIEW, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_without_a_terminal_one_screen_of_text_is_printed(path):
    """stdout carries the text, no escape codes anywhere, exit code 0."""
    ended = typed(path, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0
    assert "RUN COMPLETE" in ended.stdout
    assert "\x1b" not in ended.stdout + ended.stderr


def test_a_locale_without_unicode_gets_ascii(path):
    """The text is printable where UTF-8 is not."""
    ended = typed(path, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0
    assert ended.stdout.isascii()


def test_a_missing_file_is_told_in_two_lines(tmp_path):
    """Exit code 5, and what to do about it."""
    ended = typed(tmp_path / "absent.jsonl")
    assert ended.returncode == 5
    assert len(ended.stderr.splitlines()) == 2


class Terminal:
    """A command on a terminal of its own: keys go in, what it draws comes out."""

    def __init__(self, command, **environment):
        self._keys, other = pty.openpty()
        self.child = subprocess.Popen(
            command, stdin=other, stderr=other, stdout=subprocess.PIPE,
            env=os.environ | SCREEN | environment,
        )  # fmt: skip
        os.close(other)
        self.drawn = b""

    def wait_for(self, text, seconds=30):
        ends = time.monotonic() + seconds
        while text not in self.drawn:
            assert time.monotonic() < ends, self.drawn[-2000:]
            if select.select([self._keys], [], [], 0.1)[0]:
                self.drawn += os.read(self._keys, 65536)

    def press(self, keys):
        os.write(self._keys, keys)

    def ended(self, seconds=40):
        ends = time.monotonic() + seconds
        while self.child.poll() is None:
            assert time.monotonic() < ends, self.drawn[-2000:]
            if select.select([self._keys], [], [], 0.1)[0]:
                try:
                    self.drawn += os.read(self._keys, 65536)
                except OSError:  # the other end is closed: the child is ending
                    time.sleep(0.05)
        stdout = self.child.stdout.read()
        self.child.stdout.close()
        os.close(self._keys)
        return self.child.returncode, stdout


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_on_a_terminal_the_dashboard_opens_and_quits(path, key):
    """q and Ctrl-C both leave with exit code 0, and stdout stays empty for data."""
    terminal = Terminal([*VIEW, str(path)])
    terminal.wait_for(b"RUN COMPLETE")
    terminal.press(key)
    assert terminal.ended() == (0, b"")


def test_a_ruined_capture_is_exit_code_5_on_a_terminal_too(path):
    """As in a pipe, and from diagnose; the dashboard is shown until it is left."""
    header, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + b"".join(b"\x00" + line[1:] for line in rest))
    assert typed(path, stdin=subprocess.DEVNULL).returncode == 5
    terminal = Terminal([*VIEW, str(path)])
    terminal.wait_for(b"damaged")
    terminal.press(b"q")
    assert terminal.ended()[0] == 5
    assert b"holds no result that could be read" in terminal.drawn


def test_no_color_draws_without_colours(path):
    """With NO_COLOR set only shades of grey reach the terminal, signs tell the rest."""
    terminal = Terminal([*VIEW, str(path)], NO_COLOR="1", COLORTERM="truecolor")
    terminal.wait_for(b"RUN COMPLETE")
    terminal.press(b"q")
    assert terminal.ended()[0] == 0
    colours = {
        tuple(part.split(b"m")[0].split(b";")[:3]) for part in terminal.drawn.split(b"38;2;")[1:]
    }
    assert all(len(set(colour)) == 1 for colour in colours)


def test_quitting_stops_the_run_and_keeps_its_capture(tmp_path):
    """q while the recorder lives interrupts it; it closes its capture; the exit code is 130."""
    path = tmp_path / "run.jsonl"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    terminal = Terminal([sys.executable, "-c", SHOW, str(path), RECORDER], **environment)
    terminal.wait_for(b"recording")
    terminal.press(b"q")
    assert terminal.ended()[0] == 130
    assert read_capture(path).state == "interrupted"


@pytest.mark.parametrize("recording", [False, True])
def test_a_closed_terminal_ends_the_dashboard_and_its_run(path, tmp_path, recording):
    """It must not wait for a key that nobody can press; the run beside it closes its capture."""
    command, environment = [*VIEW, str(path)], {}
    if recording:
        path = tmp_path / "growing.jsonl"
        command = [sys.executable, "-c", SHOW, str(path), RECORDER]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    terminal = Terminal(command, **environment)
    terminal.wait_for(b"recording" if recording else b"RUN COMPLETE")
    os.close(terminal._keys)  # the terminal is gone: reading from it ends at once
    terminal.child.send_signal(signal.SIGHUP)
    assert terminal.child.wait(30) == -signal.SIGHUP
    terminal.child.stdout.close()
    assert read_capture(path).state == ("interrupted" if recording else "complete")
