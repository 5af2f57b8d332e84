"""Following a file: slices, states, and captures cut anywhere."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import events, write
from dashboards import walk
from specprof.errors import CaptureUnreadable
from specprof.records import Round
from specprof.tui import follow
from specprof.tui.follow import Follower, read_all
from specprof.tui.panels import DRAWINGS
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot

WHOLE = events()


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


def test_a_silent_file_counts_as_incomplete_and_one_that_speaks_as_recording(tmp_path):
    """Without a closing line, the time since the file last grew decides."""
    path = write(tmp_path / "run.jsonl", WHOLE[:-1])
    assert read_all(path).state == "recording"
    long_ago = time.time() - 10 * follow.SILENT_S
    os.utime(path, (long_ago, long_ago))
    reading = read_all(path)
    assert reading.state == "INCOMPLETE"
    assert reading.silent_s > follow.SILENT_S


def test_what_a_dying_recorder_wrote_last_is_read(tmp_path, monkeypatch):
    """INCOMPLETE is said only once everything has been read."""
    monkeypatch.setattr(follow, "SLICE_BYTES", 4_000)
    path = write(tmp_path / "run.jsonl", WHOLE[:-1])
    follower = Follower(path, alive=lambda: False)
    readings = [follower.read()]
    while readings[-1].more:
        readings.append(follower.read())
    rounds = sum(isinstance(event, Round) for event in WHOLE)
    assert {reading.state for reading in readings[:-1]} == {"recording"}
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
