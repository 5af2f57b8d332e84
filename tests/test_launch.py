"""Runs as the command line starts them: output files, interruption, early failure."""

import os
import signal
import subprocess
import sys
import time

import pytest

from specprof.capture import read_capture
from specprof.errors import UsageError
from specprof.launch import capture_paths
from specprof.plan import expand
from specprof.records import Profile, Settings

SYNTHETIC = ["run", "--no-tui", "--backend", "synthetic", "--temperature", "1"]


def specprof(*arguments, **options):
    command = [sys.executable, "-m", "specprof", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_a_run_keeps_stdout_for_data_and_says_what_comes_next(tmp_path):
    """Narration goes to stderr, with the commands that read the capture."""
    path = tmp_path / "a.jsonl"
    done = specprof(*SYNTHETIC, "--context", 400, "--stops", 2, "-o", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"specprof diagnose {path}" in done.stderr
    assert read_capture(path).state == "complete"


def test_an_existing_capture_is_not_overwritten_without_force(tmp_path):
    """Refused with exit code 2; --force replaces it."""
    path = tmp_path / "a.jsonl"
    path.write_text("precious")
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "-o", path)
    refused = specprof(*quick)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert path.read_text() == "precious"
    assert specprof(*quick, "--force").returncode == 0
    assert read_capture(path).state == "complete"


@pytest.mark.skipif(os.name != "posix", reason="makes a FIFO")
def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path):
    """A failed run removes its empty capture: with --force that was /dev/null itself."""
    os.mkfifo(tmp_path / "pipe")
    done = specprof(*SYNTHETIC, "--force", "-o", tmp_path / "pipe")
    assert done.returncode == 2
    assert "no regular file" in done.stderr
    assert (tmp_path / "pipe").exists()


def test_an_unwritable_place_is_told_at_once(tmp_path):
    """Exit code 2 and the place's name, before any model is loaded."""
    done = specprof(*SYNTHETIC, "-o", tmp_path / "no" / "such" / "folder.jsonl")
    assert done.returncode == 2
    assert "can't write" in done.stderr


def test_a_wrong_model_leaves_no_file_and_exits_3(tmp_path):
    """The model is named; an empty capture is not left behind."""
    done = specprof("run", "--no-tui", "--target", "/no/such", "-o", tmp_path / "a.jsonl")
    assert done.returncode == 3
    assert "can't load model '/no/such'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_keeps_the_capture_and_exits_130(tmp_path):
    """Interrupted in the middle, the capture is closed and readable."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-m", "specprof", *SYNTHETIC, "--max-new-tokens", "100000"]
    child = subprocess.Popen([*command, "-o", str(path)], stderr=subprocess.PIPE)
    while not path.exists() or path.stat().st_size < 20_000:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    capture = read_capture(path)
    assert capture.state == "interrupted"
    assert not capture.damaged


WATCHED = """
import os, signal, sys, time
from pathlib import Path
from specprof import launch

def wait(path, child):
    while not path.exists() or path.stat().st_size < 20_000:
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(os.getpid(), number)
    time.sleep(20)

number, path, *sys.argv = int(sys.argv[1]), Path(sys.argv[2]), "specprof", *sys.argv[3:]
launch._wait_for_header = wait
sys.exit(launch._watched(path))
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)],
)
def test_a_run_is_never_left_alone(tmp_path, number, code):
    """Ctrl-C before the dashboard is up, a kill, a closed terminal: the child closes its capture.

    It is in a session of its own, so that nobody else would tell it.
    """
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", WATCHED, str(int(number)), str(path), *SYNTHETIC]
    done = subprocess.run([*command, "--max-new-tokens", "100000"], timeout=60, check=False)
    assert done.returncode == code
    assert read_capture(path).state == "interrupted"


def test_a_sweep_writes_one_capture_a_cell(tmp_path):
    """Each cell's file carries the cell's id."""
    profile = Profile(name="k", run=Settings(), sweep={"depth": [2, 4]})
    paths = capture_paths(profile, expand(profile), tmp_path / "out.jsonl")
    assert len(set(paths)) == 2
    assert all(path.name.startswith("out.") and path.suffix == ".jsonl" for path in paths)


def test_an_unknown_option_value_is_refused():
    """A workload nobody knows is named with the known ones."""
    with pytest.raises(UsageError, match="stroll"):
        expand(Profile(name="x", run=Settings(workload="stroll")))


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_plain_run_told_to_end_closes_its_capture(tmp_path, number):
    """A job scheduler's SIGTERM is a Ctrl-C to the capture: interrupted, readable, exit 130."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-m", "specprof", *SYNTHETIC, "--max-new-tokens", "100000"]
    child = subprocess.Popen([*command, "-o", str(path)], stderr=subprocess.PIPE)
    while not path.exists() or path.stat().st_size < 20_000:
        time.sleep(0.02)
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert read_capture(path).state == "interrupted"


@pytest.mark.skipif(os.name != "posix", reason="limits a file's size as POSIX does")
def test_a_full_disk_is_told_with_what_was_kept(tmp_path):
    """Recording stops, the run goes on to its end, and the exit code is that of a failed run."""
    path = tmp_path / "a.jsonl"
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from specprof.cli import main; main()"
    )
    command = [sys.executable, "-c", limited, *SYNTHETIC, "--context", "400", "--stops", "2"]
    done = subprocess.run([*command, "-o", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "recording stopped" in done.stderr
    assert str(path) in done.stderr
    capture = read_capture(path)
    assert capture.state == "INCOMPLETE"
    assert not capture.torn
