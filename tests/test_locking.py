"""One writer per file, by a lock that dies with its holder."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from captures import events, healthy
from specprof import locking
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.errors import UsageError
from specprof.locking import is_locked, lock, read_boot_id, refuse_recorded

HOLD = """
import sys, time
from pathlib import Path
from specprof.capture_writer import CaptureWriter
from captures import events
writer = CaptureWriter(Path(sys.argv[1]), overwrite=True)
for event in events()[:-1]:
    writer.write(event)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path):
    """Start processes that record into a file and stay; they are killed at the end."""
    started = []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def begin(path, code=HOLD):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, env=environment
        )
        started.append(child)
        assert child.stdout.readline() == b"held\n"
        return child

    yield begin
    for child in started:
        child.kill()
        child.wait(10)
        child.stdout.close()


def locked(path):
    with path.open("rb") as file:
        return is_locked(file.fileno())


def test_a_second_writer_is_refused_and_nothing_is_cut(tmp_path, hold):
    """It is refused with and without overwriting: the first writer's lines stay."""
    path = tmp_path / "run.jsonl"
    hold(path)
    before = path.read_bytes()
    for overwrite in (True, False):
        with pytest.raises(UsageError, match=r"run\.jsonl is being recorded by another run"):
            CaptureWriter(path, overwrite=overwrite)
    assert path.read_bytes() == before
    assert locked(path)


def test_another_name_of_the_file_is_refused(tmp_path, hold):
    """A link is never written through, so the recorded lines stay."""
    path = tmp_path / "run.jsonl"
    hold(path)
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    for name in ("soft", "hard"):
        with pytest.raises(UsageError, match="can't write"):
            CaptureWriter(tmp_path / name, overwrite=True)
    assert path.stat().st_size


def test_a_lock_dies_with_its_holder(tmp_path, hold):
    """After a kill -9 the file is free at once; its recorded lines still need `force`."""
    path = tmp_path / "run.jsonl"
    child = hold(path)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert locked(path) is False
    refuse_recorded(path)
    with pytest.raises(UsageError, match="exists already"):
        CaptureWriter(path)
    with CaptureWriter(path, overwrite=True):
        assert locked(path)
    assert locked(path) is False


def test_a_stopped_writer_holds_its_lock(tmp_path, hold):
    """It is not dead, and will go on writing."""
    path = tmp_path / "run.jsonl"
    hold(path).send_signal(signal.SIGSTOP)
    with pytest.raises(UsageError, match="another run"):
        CaptureWriter(path, overwrite=True)


FORKS = (
    HOLD.replace("time.sleep(60)", "")
    + """
import os, signal, subprocess
beside = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
copy = os.fork()
if copy == 0:
    os.close(1)
    writer.write(events()[-1])
    writer.close()
    time.sleep(60)
print(beside.pid, copy, flush=True)
time.sleep(60)
"""
)


def test_no_child_of_the_writer_keeps_the_lock(tmp_path, hold):
    """Neither a started program nor a fork keeps it, and the fork can't write the capture."""
    path = tmp_path / "run.jsonl"
    child = hold(path, FORKS)
    others = [int(each) for each in child.stdout.readline().split()]
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    ends = time.monotonic() + 10
    while locked(path):
        assert time.monotonic() < ends
        time.sleep(0.05)
    for each in others:
        os.kill(each, signal.SIGKILL)  # still there
    assert read_capture(path).end is None


def test_readers_that_look_never_stop_a_writer(tmp_path):
    """A reader holds the lock for a moment, and a writer tries again."""
    path, done = healthy(tmp_path / "run.jsonl"), threading.Event()

    def look():
        with path.open("rb") as file:
            while not done.is_set():
                is_locked(file.fileno())

    readers = [threading.Thread(target=look) for _ in range(2)]
    for each in readers:
        each.start()
    try:
        for _ in range(50):
            with CaptureWriter(path, overwrite=True) as writer:
                assert writer.locked
    finally:
        done.set()
        for each in readers:
            each.join()


def test_two_readers_are_no_writer(tmp_path):
    """If they look at one moment, neither takes the other for the recorder."""
    path = healthy(tmp_path / "run.jsonl")
    with path.open("rb") as one, path.open("rb") as other:
        fcntl.flock(one, fcntl.LOCK_SH)
        assert is_locked(other.fileno()) is False


def test_where_there_are_no_locks_recording_goes_on(tmp_path, monkeypatch):
    """No writer is refused, and the header doesn't claim a lock."""

    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking.fcntl, "flock", refused)
    path = tmp_path / "run.jsonl"
    with CaptureWriter(path) as writer, CaptureWriter(tmp_path / "other") as other:
        assert not writer.locked
        assert is_locked(other._file) is None
        writer.write(events()[0])
        refuse_recorded(path)
    assert read_capture(path).header.locked_on is None


def test_a_locked_capture_says_on_which_boot(tmp_path):
    """On another machine, or after a restart, its lock means nothing."""
    assert read_capture(healthy(tmp_path / "run.jsonl")).header.locked_on == read_boot_id()


def test_an_empty_file_is_in_nobodys_way(tmp_path):
    """A run that is killed while its models load leaves one."""
    path = tmp_path / "run.jsonl"
    path.touch()
    CaptureWriter(path).close()
    with CaptureWriter(path), pytest.raises(UsageError, match="another run"):
        CaptureWriter(path)


def test_a_file_removed_before_it_was_locked_is_made_anew(tmp_path, monkeypatch):
    """Otherwise the run would record into a file without a name."""
    path, really = tmp_path / "run.jsonl", locking.lock

    def remove(file):
        monkeypatch.setattr(locking, "lock", really)
        path.unlink()
        return really(file)

    monkeypatch.setattr(locking, "lock", remove)
    with CaptureWriter(path) as writer:
        assert not writer.gone
        writer.write(events()[0])
    assert read_capture(path).header == events()[0]


@pytest.mark.parametrize("done", ["deleted", "replaced"])
def test_a_writer_knows_when_its_file_has_lost_its_name(tmp_path, done):
    """It leaves the file that took the name alone."""
    path = tmp_path / "run.jsonl"
    with CaptureWriter(path) as writer:
        assert not writer.gone
        path.unlink()
        if done == "replaced":
            path.write_text("precious")
        assert writer.gone
        writer.forget()
    assert path.exists() == (done == "replaced")


def test_a_folder_is_locked_like_a_file(tmp_path):
    """A sweep keeps its folder by this lock."""
    first, second = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    assert lock(first)
    with pytest.raises(BlockingIOError):
        lock(second)
    os.close(first)
    assert lock(second)
    os.close(second)


def test_what_can_t_hold_a_capture_is_refused(tmp_path):
    """A pipe and a folder are; so is a link where none is allowed."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(UsageError, match="can't write"):
            CaptureWriter(tmp_path / name, overwrite=True)
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(UsageError, match="no regular file"):
        CaptureWriter(tmp_path / "pipe", overwrite=True)
    os.close(reader)
    (tmp_path / "link").symlink_to(healthy(tmp_path / "run.jsonl"))
    with pytest.raises(UsageError, match="can't write"):
        locking.claim(tmp_path / "link", overwrite=True)
    assert read_capture(tmp_path / "run.jsonl").state == "complete"
