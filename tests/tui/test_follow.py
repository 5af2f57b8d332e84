"""Following a file: slices, states, and captures cut anywhere."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import events, write
from dashboards import diagnosis, walk
from dashboards import wait_until as shown
from specprof.capture_writer import CaptureWriter
from specprof.errors import CaptureUnreadable
from specprof.locking import read_boot_id
from specprof.plain import as_json as encoded
from specprof.records import Round
from specprof.tui import follow
from specprof.tui.app import Dashboard
from specprof.tui.follow import Follower, read_all
from specprof.tui.panels import DRAWINGS
from specprof.tui.panels.trust import draw_trust
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot

WHOLE = events()
RECORDER = """
import sys, time
from pathlib import Path
from captures import events
from specprof.capture_writer import CaptureWriter
with CaptureWriter(Path(sys.argv[1])) as writer:
    for event in events(stops=40, max_new_tokens=50):
        writer.write(event)
        time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cut")


@given(cut=st.integers(0, 10_000))
def test_a_capture_cut_anywhere_opens_and_draws(folder, cut):
    """Any prefix that holds the header line is drawn in full; a shorter one is told apart."""
    path = write(folder / "run.jsonl", WHOLE)
    whole = path.read_bytes()
    cut = cut * len(whole) // 10_000
    path.write_bytes(whole[:cut])
    if b"\n" not in whole[:cut]:
        with pytest.raises(CaptureUnreadable):
            read_all(path)
        return
    reading = read_all(path)
    assert len(reading.columns.rounds) == whole[:cut].count(b'"event":"round"') - (
        whole[:cut].rpartition(b"\n")[2].count(b'"event":"round"')
    )
    for drawing in DRAWINGS.values():
        drawing.draw(Sheet(60, 12), Snapshot(columns=reading.columns, state=reading.state))


def test_a_long_capture_is_read_slice_by_slice(tmp_path, monkeypatch):
    """The first slice shows before the rest is read, and nothing is lost between slices."""
    path = walk(tmp_path / "run.jsonl")
    whole = len(read_all(path).columns.rounds)
    monkeypatch.setattr(follow, "SLICE_BYTES", 10_000)
    follower = Follower(path)
    readings = [follower.read()]
    while readings[-1].more:
        readings.append(follower.read())
    assert 0 < len(readings[0].columns.rounds) < whole
    assert len(readings[-1].columns.rounds) == whole
    assert readings[-1].final


def test_a_capture_not_yet_begun_is_waited_for_while_its_recorder_lives(tmp_path):
    """No file yet is waiting; a recorder that died without one is INCOMPLETE."""
    alive = [True]
    follower = Follower(tmp_path / "run.jsonl", alive=lambda: alive[0])
    assert follower.read().state == "waiting"
    alive[0] = False
    assert follower.read().state == "INCOMPLETE"


def test_without_a_recorder_a_missing_file_is_an_error(tmp_path):
    """There is nothing to wait for."""
    with pytest.raises(CaptureUnreadable):
        Follower(tmp_path / "run.jsonl").read()


LONG_S = 10 * follow.SILENT_S


def foreign(path):
    """A capture without a closing line whose recorder can't be seen from here."""
    return Path(unlocked(write(path, WHOLE[:-1])))


def unlocked(path):
    path.write_bytes(path.read_bytes().replace(read_boot_id().encode(), b"another-boot", 1))
    return path


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def drawn(reading):
    sheet = Sheet(100, 4)
    fields = ("columns", "state", "silent_s", "lost", "torn")
    draw_trust(sheet, Snapshot(**{each: getattr(reading, each) for each in fields}))
    return "\n".join(sheet.lines())


@pytest.mark.parametrize("seconds", [0, LONG_S, -LONG_S], ids=["new", "old", "of-the-future"])
def test_a_recorder_that_is_gone_left_an_incomplete_capture(tmp_path, seconds):
    """Whatever the file's time: nobody holds its lock, here where it was locked."""
    path = write(tmp_path / "run.jsonl", WHOLE[:-1])
    age(path, seconds)
    reading = read_all(path)
    assert reading.state == "INCOMPLETE"
    assert "× INCOMPLETE" in drawn(reading)
    assert "since the file last grew, no closing line" in drawn(reading)


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "recording"), (LONG_S, "silent"), (-LONG_S, "silent")]
)
def test_a_recorder_that_lives_is_recording_however_long_it_is_silent(tmp_path, seconds, state):
    """A long prefill, a stopped process, a clock that jumped: the lock is still held."""
    path = tmp_path / "run.jsonl"
    with CaptureWriter(path) as writer:
        for event in WHOLE[:-1]:
            writer.write(event)
        age(path, seconds)
        follower = Follower(path)
        reading = follower.read()
        assert (reading.state, reading.final) == (state, False)
        assert ("its recorder is alive" in drawn(reading)) == (state == "silent")
        writer.write(WHOLE[-1])
        assert follower.read().state == "complete"


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "recording"), (LONG_S, "unseen"), (-LONG_S, "unseen")]
)
def test_a_recorder_that_can_not_be_seen_is_not_called_dead(tmp_path, seconds, state):
    """Over a network, or of a version without locks: only since when it is silent is known."""
    path = foreign(tmp_path / "run.jsonl")
    age(path, seconds)
    follower = Follower(path)
    reading = follower.read()
    assert (reading.state, reading.final) == (state, False)
    assert ("no recorder found" in drawn(reading)) == (state == "unseen")
    with path.open("ab") as file:
        file.write(encoded(WHOLE[-1]) + b"\n")
    assert follower.read().state == "complete"


def test_silence_is_measured_by_a_clock_that_nobody_sets(tmp_path, monkeypatch):
    """The file's time jumps to the past and the future; only growth ends a silence."""
    path, now = foreign(tmp_path / "run.jsonl"), [100.0]
    monkeypatch.setattr(follow.time, "monotonic", lambda: now[0])
    follower = Follower(path)
    assert follower.read().state == "recording"
    for jump in (LONG_S, -LONG_S, 0):
        age(path, jump)
        assert follower.read().state == "recording"
    now[0] += follow.SILENT_S + 5
    assert follower.read().state == "unseen"
    assert follower.read().silent_s == pytest.approx(follow.SILENT_S + 5, abs=1)
    with path.open("ab") as file:
        file.write(b"{")
    assert follower.read().state == "recording"


def test_a_deleted_capture_is_said_to_be_gone_and_read_to_its_end(tmp_path):
    """What its recorder still writes can be seen, and will be lost."""
    path = tmp_path / "run.jsonl"
    with CaptureWriter(path) as writer:
        for event in WHOLE[:-1]:
            writer.write(event)
        follower = Follower(path)
        assert follower.read().lost is None
        path.unlink()
        reading = follower.read()
        assert (reading.lost, reading.state, reading.final) == ("deleted", "recording", False)
        assert "× DELETED" in drawn(reading)
        writer.write(WHOLE[-1])
    reading = follower.read()
    assert (reading.lost, reading.state, reading.final) == ("deleted", "complete", True)
    assert "deleted or moved" in drawn(reading)


def test_a_deleted_capture_of_a_dead_recorder_is_the_end(tmp_path):
    """Nothing more can come."""
    path = write(tmp_path / "run.jsonl", WHOLE[:-1])
    follower = Follower(path)
    follower.read()
    path.unlink()
    reading = follower.read()
    assert (reading.lost, reading.final) == ("deleted", True)
    assert len(reading.columns.rounds) > 0


def test_another_file_in_its_place_is_not_mixed_up(tmp_path):
    """Renamed over: the old one is read on, and said to have lost its name."""
    path = foreign(tmp_path / "run.jsonl")
    follower = Follower(path)
    rounds = len(follower.read().columns.rounds)
    write(tmp_path / "other.jsonl", WHOLE).replace(path)
    reading = follower.read()
    assert (reading.lost, reading.state) == ("replaced", "recording")
    assert len(reading.columns.rounds) == rounds
    assert "× REPLACED" in drawn(reading)


@pytest.mark.parametrize("longer", [False, True])
def test_a_run_recorded_into_the_same_file_is_not_mixed_up(tmp_path, longer):
    """Cut back, or already longer than what was read: what was shown stays, and no more comes."""
    path = write(tmp_path / "run.jsonl", WHOLE[:40])
    follower = Follower(path)
    rounds = len(follower.read().columns.rounds)
    other = events(seed=3, stops=6)
    write(path, other if longer else other[:3])
    for _ in range(2):
        reading = follower.read()
        assert (reading.lost, reading.final, reading.more) == ("overwritten", True, False)
        assert len(reading.columns.rounds) == rounds
    assert "× OVERWRITTEN" in drawn(reading)


def test_a_file_that_grows_faster_than_it_is_read_is_read_as_it_stood(tmp_path, monkeypatch):
    """One screen of text is printed of it, some time."""
    monkeypatch.setattr(follow, "SLICE_BYTES", 4_000)
    path = foreign(tmp_path / "run.jsonl")
    line, really = encoded(WHOLE[5]) + b"\n", Follower.read

    def grown(self):
        with path.open("ab") as file:
            file.write(line * 200)
        return really(self)

    monkeypatch.setattr(Follower, "read", grown)
    assert read_all(path).state == "recording"


def test_a_stopped_recorder_is_followed_when_it_goes_on(tmp_path, monkeypatch):
    """SIGSTOP is a silence like any other; after SIGCONT its lines come."""
    path = tmp_path / "run.jsonl"
    monkeypatch.setattr(follow, "SILENT_S", 0.3)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", RECORDER, str(path)], env=environment)
    try:
        until(lambda: path.exists() and path.stat().st_size > 5_000)
        follower = Follower(path)
        assert follower.read().state == "recording"
        child.send_signal(signal.SIGSTOP)
        until(lambda: follower.read().state == "silent")
        rounds = len(follower.read().columns.rounds)
        child.send_signal(signal.SIGCONT)
        until(lambda: len(follower.read().columns.rounds) > rounds)
        child.kill()
        child.wait(10)
        until(lambda: follower.read().state == "INCOMPLETE", seconds=0.25)  # before any silence
    finally:
        child.kill()
        child.wait(10)


def until(true, seconds=20.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("silent_s", "state"), [(0.0, "recording"), (LONG_S, "reading"), (-LONG_S, "reading")]
)
def test_a_long_file_that_nobody_writes_is_being_read(silent_s, state, tmp_path, monkeypatch):
    """Until its last line: it is called a recording only where it may still grow."""
    monkeypatch.setattr(follow, "SLICE_BYTES", 4_000)
    path = foreign(tmp_path / "run.jsonl")
    with path.open("ab") as file:
        file.write(encoded(WHOLE[-1]) + b"\n")
    age(path, silent_s)
    follower = Follower(path)
    states = [follower.read().state]
    while states[-1] != "complete":
        states.append(follower.read().state)
    assert set(states[:-1]) == {state}


def test_what_a_dying_recorder_wrote_last_is_read(tmp_path, monkeypatch):
    """INCOMPLETE is said only once everything has been read."""
    monkeypatch.setattr(follow, "SLICE_BYTES", 4_000)
    path = write(tmp_path / "run.jsonl", WHOLE[:-1])
    follower = Follower(path, alive=lambda: False)
    readings = [follower.read()]
    while readings[-1].more:
        readings.append(follower.read())
    rounds = sum(isinstance(event, Round) for event in WHOLE)
    assert {reading.state for reading in readings[:-1]} == {"reading"}
    assert (readings[-1].state, readings[-1].final) == ("INCOMPLETE", True)
    assert len(readings[-1].columns.rounds) == rounds


def test_damaged_lines_are_counted(tmp_path):
    """A flipped line in the middle is skipped and told."""
    path = write(tmp_path / "run.jsonl", WHOLE)
    lines = path.read_bytes().split(b"\n")
    lines[4] = b"{broken"
    path.write_bytes(b"\n".join(lines))
    assert read_all(path).damaged == 1


def test_a_log_that_can_not_be_read_says_so(tmp_path):
    """The log panel shows the reason instead of nothing."""
    path = write(tmp_path / "run.jsonl", WHOLE)
    reading = Follower(path, log=tmp_path / "absent.log").read()
    assert "can't read" in reading.log[0]


def test_a_screen_is_not_drawn_again_for_nothing(tmp_path):
    """A silent file costs a look and an update a second; news shows at once."""
    path = tmp_path / "run.jsonl"
    header, *rest = WHOLE

    async def look():
        with CaptureWriter(path) as writer:
            for event in (header, *rest[:10]):
                writer.write(event)
            app = Dashboard(path, judge=diagnosis)
            async with app.run_test(size=(100, 30)) as pilot:
                await shown(pilot, lambda: app.snapshot.diagnosis)
                before, started = app.updates, time.monotonic()
                await pilot.pause(2.0)
                assert app.updates - before <= 2 + (time.monotonic() - started)
                for event in rest[10:]:
                    writer.write(event)
                await shown(pilot, lambda: app.snapshot.state == "complete")

    asyncio.run(look())
