"""How runs live and die: one writer per file, a killed dashboard, and the files after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from specprof import launch
from specprof.capture import read_capture
from specprof.records import Round

SYNTHETIC = ["run", "--no-tui", "--backend", "synthetic", "--temperature", "1"]


def specprof(*arguments, **options):
    command = [sys.executable, "-m", "specprof", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def started(path, *arguments, **options):
    """Return a run of a hundred thousand tokens a stop, once it has recorded something."""
    command = [sys.executable, "-m", "specprof", *SYNTHETIC, "--max-new-tokens", "100000"]
    given = {"stderr": subprocess.PIPE, "text": True} | options
    child = subprocess.Popen([*command, "-o", str(path), *arguments], **given)
    grown(path, child)
    return child


def grown(path, child):
    ends = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < 20_000:
        assert child.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("force", [["--force"], []], ids=["force", "plain"])
def test_a_second_run_into_a_file_is_refused_while_the_first_records(tmp_path, force):
    """The exit code is 2, in two lines; the first run loses nothing."""
    path = tmp_path / "a.jsonl"
    first = started(path)
    second = specprof(*SYNTHETIC, "-o", path, *force)
    assert second.returncode == 2
    assert len(second.stderr.splitlines()) == 2
    assert "is being recorded by another run" in second.stderr
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    capture = read_capture(path)
    assert (capture.state, [*capture.damaged]) == ("interrupted", [])
    assert [e.index for e in capture.events if isinstance(e, Round)] == [*range(capture.end.rounds)]


def test_after_a_kill_the_file_is_free(tmp_path):
    """The lock died with the run; its recorded lines are kept from a run without --force."""
    path = tmp_path / "a.jsonl"
    first = started(path)
    first.kill()
    first.communicate(timeout=30)
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "-o", path)
    assert "exists already" in specprof(*quick).stderr
    assert specprof(*quick, "--force").returncode == 0
    assert read_capture(path).state == "complete"


def test_a_sweep_is_not_begun_anew_over_a_run_that_records_into_it(tmp_path):
    """--force removes a sweep's captures, but not one that a run still writes."""
    folder = tmp_path / "out"
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "--sweep", "depth=2,4", "-o", folder)
    assert specprof(*quick).returncode == 0
    path = folder / "01-k=2.1.jsonl"
    path.unlink()
    first = started(path)
    refused = specprof(*quick, "--force")
    assert refused.returncode == 2
    assert "01-k=2.1.jsonl is being recorded by another run" in refused.stderr
    assert (folder / "02-k=4.1.jsonl").exists()
    first.kill()
    first.communicate(timeout=30)


def test_an_empty_file_does_not_stand_in_the_way(tmp_path):
    """A run that is killed while its models load leaves one."""
    path = tmp_path / "a.jsonl"
    path.touch()
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "-o", path)
    assert specprof(*quick).returncode == 0
    assert read_capture(path).state == "complete"


@pytest.mark.parametrize("done", ["deleted", "replaced"])
def test_a_capture_that_lost_its_name_is_told(tmp_path, done):
    """Its recorded lines are lost, and the run says so; a file in its place is left alone."""
    path = tmp_path / "a.jsonl"
    child = started(path)
    path.unlink()
    if done == "replaced":
        path.write_text("precious")
    child.send_signal(signal.SIGTERM)
    told = child.communicate(timeout=30)[1]
    assert child.returncode == 1
    assert "was deleted or replaced while it was recorded" in told
    assert "Traceback" not in told
    assert path.exists() == (done == "replaced")


def test_a_capture_that_lost_its_name_ends_its_run_at_once(tmp_path):
    """Otherwise hours of a device would be spent on a lost file."""
    path = tmp_path / "a.jsonl"
    child = started(path)
    path.unlink()
    told = child.communicate(timeout=30)[1]
    assert child.returncode == 1
    assert "was deleted or replaced while it was recorded" in told
    assert not path.exists()


KILLED = """
import os, signal, sys, time
from pathlib import Path
from specprof import launch

def wait(path, child, before):
    while early != "early" and (not path.exists() or path.stat().st_size < 20_000):
        assert child.poll() is None
        time.sleep(0.02)
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

early, path, *sys.argv = sys.argv[1], Path(sys.argv[2]), "specprof", *sys.argv[3:]
launch._wait_for_header = wait
launch._run_beside_dashboard(path)
"""


def dead(process, seconds=30):
    """Return whether a process that is not our child ends in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process}/stat").exists():  # where nobody fetches the dead
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                return True
        time.sleep(0.05)
    return False


def test_the_death_of_the_dashboard_ends_the_run_and_is_told(tmp_path):
    """After a kill -9 the recorder closes its capture, and says why there and in its log."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", KILLED, "late", str(path), *SYNTHETIC]
    killed = subprocess.run(
        [*command, "--max-new-tokens", "100000"], capture_output=True, text=True, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    assert dead(int(killed.stdout))
    capture = read_capture(path)
    assert (capture.state, capture.end.reason) == ("interrupted", "the dashboard was killed")
    assert not capture.damaged
    assert "the dashboard was killed" in path.with_suffix(".jsonl.log").read_text()


def test_the_death_of_the_dashboard_before_the_first_line_leaves_room(tmp_path):
    """The recorder ends too, and the next run of that name is not refused."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", KILLED, "early", str(path), *SYNTHETIC]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert dead(int(killed.stdout))
    assert not path.exists()
    quick = (*SYNTHETIC, "--context", 200, "--stops", 1, "-o", path)
    assert specprof(*quick).returncode == 0


def test_nohup_is_heeded(tmp_path):
    """A signal that is ignored when the run begins stays ignored."""
    path = tmp_path / "a.jsonl"
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    child = started(path, **ignored)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert read_capture(path).state == "interrupted"


def test_what_stood_in_the_file_before_is_not_taken_for_the_run(tmp_path):
    """With --force the dashboard waits for the new header."""
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    before = launch._file_state(path)
    code = f"import time; time.sleep(0.5); open({str(path)!r}, 'w').write('new')"
    child = subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(0.5)"])
    assert launch._wait_for_header(path, child, before)
    assert path.read_text() in {"", "new"}
    child.wait(10)


WATCHED = """
import os, signal, sys, time
from pathlib import Path
from specprof import launch

def wait(path, child, before):
    while not path.exists() or path.stat().st_size < 20_000:
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(os.getpid(), number)
    time.sleep(20)

number, path, *sys.argv = int(sys.argv[1]), Path(sys.argv[2]), "specprof", *sys.argv[3:]
launch._wait_for_header = wait
sys.exit(launch._run_beside_dashboard(path))
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_is_never_left_alone(tmp_path, number):
    """Its child closes the capture after an early Ctrl-C, a kill or a closed terminal.

    It is in a session of its own, so no other process passes the signal on to it.
    """
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", WATCHED, str(int(number)), str(path), *SYNTHETIC]
    done = subprocess.run([*command, "--max-new-tokens", "100000"], timeout=60, check=False)
    assert done.returncode == 130
    assert read_capture(path).state == "interrupted"
