"""Libraries' chatter goes to a log beside the capture; narration and errors stay on stderr."""

import contextlib
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from specprof import narration
from specprof.narration import (
    drop_library_lines,
    log_compiled_code,
    log_libraries,
    log_path,
    narrate,
)

SCRIPT = Path(__file__).parent / "data" / "chattering.py"
SHORT = ("--backend", "synthetic", "--temperature", 1, "--context", 200, "--stops", 1)
SAID = [
    "chatter: warned",
    "chatter: logged by an early handler",
    "chatter: logged by a late handler",
    "chatter: logged by no handler",
    "chatter: written\n",
]


def specprof(*arguments, **options):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(
        command, **({"capture_output": True, "text": True, "timeout": 120} | options)
    )


@pytest.fixture(scope="module")
def chattered(tmp_path_factory):
    """Run with a library that prints in every way."""
    path = tmp_path_factory.mktemp("run") / "a.jsonl"
    return path, specprof("run", "--no-tui", *SHORT, "-o", path)


def test_a_run_s_screen_shows_no_chatter(chattered):
    """All of it is in the log, however it was printed, and one line names the log."""
    path, done = chattered
    assert done.returncode == 0, done.stderr
    assert "chatter: " not in done.stderr + done.stdout
    log = log_path(path)
    assert log.name == "a.jsonl.log"
    assert [each for each in SAID if each not in log.read_text()] == []
    assert done.stderr.count(str(log)) == 1
    assert "specprof diagnose" in done.stderr


def test_where_nothing_was_said_there_is_no_log(tmp_path):
    """No line names one, either; an older file of that name may be the user's own."""
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    log_path(other).write_text("precious")
    for each in (path, other):
        done = specprof("--quiet", "run", "--no-tui", *SHORT, "-o", each)
        assert done.returncode == 0, done.stderr
        assert ".log" not in done.stderr
    assert not log_path(path).exists()
    assert log_path(other).read_text() == "precious"


def test_errors_are_shown(tmp_path):
    """The screen has the errors that ended a thread and the run, with Python's full tracebacks."""
    path = tmp_path / "a.jsonl"
    done = specprof("run", "--no-tui", *SHORT, "--seed", 13, "-o", path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "RuntimeError: the run itself broke" in done.stderr
    assert "chatter: " not in done.stderr
    assert "chatter: warned" in log_path(path).read_text()


def test_every_run_of_a_sweep_has_a_log_of_its_own(tmp_path):
    """A library that kept the first run's stderr writes to the second run's log."""
    done = specprof("run", "--no-tui", *SHORT, "--sweep", "depth=2,3", "-o", tmp_path / "sweep")
    assert done.returncode == 0, done.stderr
    assert "chatter: " not in done.stderr + done.stdout
    logs = sorted((tmp_path / "sweep").glob("*.jsonl.log"))
    assert len(logs) == 2
    assert all("chatter: logged by a late handler" in log.read_text() for log in logs)


@pytest.mark.parametrize("kept", [True, False])
def test_a_drill_s_screen_shows_none(tmp_path, kept):
    """It keeps no file, so its log is among the temporary files."""
    output = ["-o", tmp_path / "a.jsonl"] if kept else []
    done = specprof("drill", "no-bonus", *output, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "chatter: " not in done.stderr + done.stdout
    (log,) = tmp_path.glob("*.log")
    assert (log.name == "a.jsonl.log") == kept
    assert str(log) in done.stderr
    assert "chatter: warned" in log.read_text()


def test_beside_a_dashboard_both_go_to_one_file(tmp_path):
    """A library's lines are marked there, and an early failure's report leaves them out."""
    path = tmp_path / "a.jsonl"
    with log_path(path).open("wb") as log:
        both = {"capture_output": False, "stdout": log, "stderr": log}
        specprof("run", "--no-tui", *SHORT, "--seed", 13, "-o", path, **both)
    whole = log_path(path).read_text()
    assert "| chatter: written\n" in whole
    own = drop_library_lines(whole)
    assert "chatter: " not in own
    assert "RuntimeError: the run itself broke" in own
    assert ".log" not in own


def test_narration_goes_past_what_is_put_aside(tmp_path, capsys):
    """It is printed at once and unchanged; blocks may be nested."""
    outer, inner = tmp_path / "outer.log", tmp_path / "inner.log"
    with log_libraries(outer):
        sys.stderr.write("1")
        with log_libraries(inner):
            narrate("ours")
            sys.stderr.write("2")
        sys.stderr.write("3")
    sys.stderr.write("after\n")
    assert (outer.read_text(), inner.read_text()) == ("13", "2")
    told = capsys.readouterr().err.splitlines()
    assert [told[0], told[-1], len(told)] == ["ours", "after", 4]


def test_a_handler_made_inside_goes_on_after_it(tmp_path, capsys):
    """It writes to the current stderr, because libraries make their handlers once."""
    made = logging.StreamHandler()
    with log_libraries(tmp_path / "a.log"):
        made = logging.StreamHandler()
        made.emit(logging.makeLogRecord({"msg": "inside"}))
    made.emit(logging.makeLogRecord({"msg": "outside"}))
    assert (tmp_path / "a.log").read_text() == "inside\n"
    assert "outside" in capsys.readouterr().err


def test_a_log_that_can_t_be_written_loses_no_word(tmp_path, capsys):
    """The words go to stderr then, and the run goes on."""
    with log_libraries(tmp_path / "nowhere" / "a.log"):
        sys.stderr.write("said\n")
    assert capsys.readouterr().err == "said\n"


def test_no_link_is_followed(tmp_path):
    """A folder that an attacker prepared leads to no other file."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    log = tmp_path / "a.log"
    log.symlink_to(precious)
    with log_libraries(log):
        log.unlink(missing_ok=True)
        log.symlink_to(precious)
        sys.stderr.write("said\n")
        assert log.is_symlink()
    assert precious.read_text() == "precious"


def test_what_compiled_code_writes_is_put_aside_where_that_is_asked_for(tmp_path, capfd):
    """And the screen is the screen again, whatever ended the block."""
    with log_libraries(tmp_path / "a.log"):
        with contextlib.suppress(KeyError), log_compiled_code():
            os.write(2, b"from C\xff\n")
            raise KeyError
        os.write(2, b"left alone\n")
    with log_compiled_code():
        os.write(2, b"nothing is put aside\n")
    assert (tmp_path / "a.log").read_text() == "from C\ufffd\n"
    said = f"left alone\nwhat libraries said is in {tmp_path / 'a.log'}\nnothing is put aside\n"
    assert capfd.readouterr().err == said


def test_a_process_without_a_stderr_narrates_to_nobody(tmp_path, monkeypatch):
    """Libraries' words are still in the log."""
    monkeypatch.setattr(sys, "stderr", None)
    with log_libraries(tmp_path / "a.log"):
        narrate("ours")
        sys.stderr.write("said")
    assert sys.stderr is None
    assert (tmp_path / "a.log").read_text() == "said"


def test_it_is_no_terminal_while_it_goes_to_a_log(tmp_path, monkeypatch):
    """Progress bars are drawn on terminals only."""
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    with log_libraries(tmp_path / "a.log"):
        assert not sys.stderr.isatty()
        assert narration.library_log() == tmp_path / "a.log"
    assert narration.library_log() is None
    assert sys.stderr is screen


@pytest.mark.parametrize("kind", ["pipe", "link", "second name"])
def test_a_log_that_is_no_file_of_its_own_is_left_alone(tmp_path, kind, capsys):
    """A pipe would block, and a file with a second name may be the user's."""
    log, other = tmp_path / "a.jsonl.log", tmp_path / "other"
    other.write_text("precious")
    match kind:
        case "pipe":
            os.mkfifo(log)
        case "link":
            log.symlink_to(other)
        case _:
            log.hardlink_to(other)
    with narration.log_libraries(log):
        sys.stderr.write("said by a library\n")
    assert other.read_text() == "precious"
    assert "said by a library" in capsys.readouterr().err
