"""The capture file: what stays readable after a kill, on a full disk, after damage or an attack."""

import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures import HOSTILE, events, header_only, healthy, in_memory, write
from specprof import capture as module
from specprof import capture_writer
from specprof.capture import CaptureReader, read_capture
from specprof.capture_writer import CaptureWriter
from specprof.errors import CaptureUnreadable, UsageError
from specprof.records import Note, Round

CHILD = """
import sys
from pathlib import Path
from specprof.capture_writer import CaptureWriter
from specprof.records import (Header, ClockFacts, Note)
from specprof.settings import (RunSpec, Settings)
from specprof import capture
header = Header(specprof="0", created="", spec=RunSpec(id="1", profile="p", settings=Settings()),
                acceptance="greedy", clock=ClockFacts(kind="none", read_ns=0), device="cpu")
with CaptureWriter(Path(sys.argv[1])) as writer:
    writer.write(header)
    sys.stdout.write("writing\\n")
    sys.stdout.flush()
    for number in range(10**9):
        writer.write(Note(at_ns=number, text="x" * (number % 700)))
"""


@pytest.fixture(scope="module")
def recorded() -> bytes:
    """Return a small capture's bytes."""
    header, *rest = events()
    lines = [capture_writer._line(event) for event in (header, *rest)]
    return b"".join(lines)


def put(folder, content: bytes):
    path = folder / "run.jsonl"
    path.write_bytes(content)
    return path


# --- what was written is read -----------------------------------------------------------------


def test_what_is_written_is_read_back(tmp_path):
    """Every event comes back equal, and the capture is complete."""
    read = read_capture(healthy(tmp_path / "run.jsonl"))
    assert [read.header, *read.events] == events()
    assert (read.state, len(read.damaged), read.torn) == ("complete", 0, False)


def test_a_capture_of_the_first_schema_opens_for_ever():
    """The file is never written again: a change that breaks its reading must raise the schema."""
    read = read_capture(module.Path(__file__).parent / "data" / "schema-1.jsonl")
    rounds = [event for event in read.events if isinstance(event, Round)]
    assert not read.damaged
    assert (read.header.schema, read.torn, read.state) == (1, False, "complete")
    assert len(rounds) == 3
    assert sum(one.accepted for one in rounds) == 7
    assert sum(len(one.emitted) for one in rounds) == 6 == read.end.emitted


def test_a_header_alone_is_a_capture(tmp_path):
    """A run killed before its first round opens, empty and INCOMPLETE."""
    read = read_capture(header_only(tmp_path / "run.jsonl"))
    assert (read.events, read.end, read.state) == ([], None, "INCOMPLETE")


def test_hostile_text_is_one_line(tmp_path):
    """Line ends and controls inside a text can't end the line it stands in."""
    path = write(tmp_path / "run.jsonl", [events()[0], Note(at_ns=0, text=HOSTILE)])
    assert len(path.read_bytes().splitlines()) == 2
    assert read_capture(path).events == [Note(at_ns=0, text=HOSTILE)]


def test_an_argument_that_was_no_utf8_is_recorded(tmp_path):
    """Python hands such arguments on as lone surrogates, which JSON can't hold."""
    header = msgspec.structs.replace(events()[0], command=["specprof", "run", "-o", "\udcff.jsonl"])
    assert (
        read_capture(write(tmp_path / "run.jsonl", [header])).header.command[3] == r"\udcff.jsonl"
    )


def test_twenty_thousand_rounds_stay_small_and_open_in_a_second(tmp_path):
    """Its size is bounded, and the processor time to open it, least of three."""
    header, *rest = events(depth=4, max_new_tokens=400)
    rounds = [event for event in rest if isinstance(event, Round)]
    many = [rounds[i % len(rounds)] for i in range(20_000)]
    path = write(tmp_path / "run.jsonl", [header, *many])
    assert path.stat().st_size < 16e6
    assert min(_seconds_to_open(path) for _ in range(3)) < 1.0


def _seconds_to_open(path) -> float:
    started = time.process_time()
    assert len(read_capture(path).events) == 20_000
    return time.process_time() - started


# --- killed, cut, flipped ---------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(4))
def test_a_killed_run_loses_at_most_its_last_line(tmp_path, round_):
    """After SIGKILL at a random moment, eight times, the file opens with no line missing."""
    chance, recorded = random.Random(round_), 0
    for attempt in range(8):
        path = tmp_path / f"{attempt}.jsonl"
        command = [sys.executable, "-c", CHILD, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(chance.random() * 0.02)
            child.send_signal(signal.SIGKILL)
        read = read_capture(path)
        assert not read.damaged
        assert [event.at_ns for event in read.events] == list(range(len(read.events)))
        recorded += len(read.events)
    assert recorded > 0


def test_every_cut_of_the_last_three_lines_opens(tmp_path, recorded):
    """Wherever the end is cut off, whole lines are kept and a part of one is called torn."""
    lines = recorded.splitlines(keepends=True)
    kept = len(b"".join(lines[:-3]))
    for cut in range(kept, len(recorded) + 1):
        read = read_capture(put(tmp_path, recorded[:cut]))
        whole = recorded[:cut].count(b"\n")
        assert len(read.events) == whole - 1
        assert read.torn == (not recorded[:cut].endswith(b"\n"))
        assert not read.damaged


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_prefix_opens_or_is_called_unreadable(tmp_path_factory, recorded, data):
    """A prefix raises CaptureUnreadable or nothing, and that only inside the header."""
    cut = data.draw(st.integers(0, len(recorded)))
    path = put(tmp_path_factory.mktemp("cut"), recorded[:cut])
    if cut <= recorded.index(b"\n"):
        with pytest.raises(CaptureUnreadable):
            read_capture(path)
    else:
        assert len(read_capture(path).events) == recorded[:cut].count(b"\n") - 1


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_flipped_bytes_cost_the_lines_they_hit(tmp_path_factory, recorded, data):
    """Bytes after the header are overwritten: at most the hit lines are named, the rest is read."""
    start = recorded.index(b"\n") + 1
    spoilt = bytearray(recorded)
    places = data.draw(st.lists(st.integers(start, len(recorded) - 2), min_size=1, max_size=5))
    for place in places:
        spoilt[place] = data.draw(st.integers(0, 255))
    read = read_capture(put(tmp_path_factory.mktemp("flip"), bytes(spoilt)))
    lines = bytes(spoilt).count(b"\n") - 1
    assert len(read.events) + len(read.damaged) == lines
    assert len(read.damaged) <= 2 * len(places) + bytes(spoilt).count(b"\n")
    untouched = set(recorded.splitlines()) & set(bytes(spoilt).splitlines())
    assert len(read.events) >= len(untouched) - 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_foreign_bytes_are_called_no_capture(tmp_path_factory, content):
    """A file that isn't ours is refused with a clear error."""
    with pytest.raises(CaptureUnreadable):
        read_capture(put(tmp_path_factory.mktemp("foreign"), content))


# --- files that are no captures of ours -------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no complete line"),
        (b'{"event":"header"', "no complete line"),
        (b"\n", "not a specprof capture"),
        (b"round,accepted\n1,2\n", "not a specprof capture"),
        (b'{"event":"round"}\n', "not a specprof capture"),
        (b'{"event":"header","schema":99,"new":{}}\n', "schema 99"),
        (b'{"event":"header","schema":1}\n', "damaged header"),
        (b"[" * 100_000 + b"\n", "not a specprof capture"),
        (b'{"x":' * 100_000 + b"\n", "not a specprof capture"),
        (b'{"event":"header","schema":1,"spec":' + b"[" * 100_000 + b"\n", "not a specprof"),
        (b"\x1f\x8b\x08\x00gzip\n", "not a specprof capture"),
    ],
)
def test_a_file_that_is_no_capture_is_refused_with_a_reason(tmp_path, content, told):
    """The message says what was found and what to do."""
    with pytest.raises(CaptureUnreadable, match=told) as refusal:
        read_capture(put(tmp_path, content))
    assert refusal.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    """The error has the system's own words."""
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(CaptureUnreadable, match="can't read"):
            read_capture(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
        with pytest.raises(CaptureUnreadable, match="no regular file"):
            read_capture(tmp_path / "pipe")


def test_a_setting_of_a_later_version_does_not_hide_the_run(tmp_path, recorded):
    """Added optional fields don't raise the schema, so an older reader must ignore them."""
    later = recorded.replace(b'"settings":{', b'"settings":{"tree_width":3,', 1)
    assert later != recorded
    assert len(read_capture(put(tmp_path, later)).events) == len(events()) - 1


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"event":"note","at_ns":1,"text":"a","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"event":"note","at_ns":123456789012345678901234567890,"text":"a"}',
        b'{"event":"note","at_ns":9007199254740993,"text":"a"}',
        b'{"event":"note","at_ns":' + b"9" * 10_000 + b',"text":"a"}',
        b'{"event":"sample","at_ns":1,"power_watts":1e999}',
        b'{"event":"note","at_ns":1,"text":"\xff"}',
        b'{"event":"note","at_ns":1,"text":"\\ud800"}',
        b'{"event":"wedding"}',
        b"",
    ],
    ids=lambda line: line[:30].decode("latin-1"),
)
def test_a_damaged_line_is_counted_and_passed_over(tmp_path, recorded, line):
    """Deep nesting, numbers no column can hold, invalid text: a line number, never a crash."""
    header, rest = recorded.split(b"\n", 1)
    read = read_capture(put(tmp_path, header + b"\n" + line + b"\n" + rest))
    assert [each.line for each in read.damaged] == [2]
    assert len(read.events) == len(events()) - 1


def test_a_text_that_is_not_closed_is_damage_for_that_and_not_for_being_short(tmp_path, recorded):
    """The decoder gets the line without its end, and the reason is still found."""
    header, rest = recorded.split(b"\n", 1)
    read = read_capture(put(tmp_path, header + b'\n{"event":"no\n' + rest))
    assert "invalid character" in read.damaged.first[0].reason


def test_long_digits_in_a_text_are_no_damage(tmp_path):
    """The bound of 53 bits is for numbers, not for digits in a note; its largest number passes."""
    note = Note(at_ns=2**53, text="9" * 40)
    assert read_capture(write(tmp_path / "run.jsonl", [events()[0], note])).events == [note]


def test_an_endless_line_takes_no_endless_memory(tmp_path, recorded, monkeypatch):
    """A line longer than any of ours is passed over in pieces, as the first line or later."""
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10_000)
    header, rest = recorded.split(b"\n", 1)
    path = put(tmp_path, header + b"\n" + b"x" * 30_000_000 + b"\n" + rest)
    tracemalloc.start()
    read = read_capture(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [each.line for each in read.damaged] == [2]
    assert len(read.events) == len(events()) - 1
    assert peak < 8e6
    with pytest.raises(CaptureUnreadable):
        read_capture(put(tmp_path, b"x" * 30_000_000))


# --- a file that grows ------------------------------------------------------------------------


def test_a_line_is_read_once_it_is_whole(tmp_path, recorded):
    """A reader that comes in the middle of a write gets the line at its next read."""
    path = put(tmp_path, recorded[: recorded.index(b"\n") + 20])
    reader = CaptureReader(path)
    assert len(reader.poll()) == 1
    assert reader.torn
    put(tmp_path, recorded)
    assert len(reader.poll()) == len(events()) - 1
    assert not reader.torn
    assert reader.poll() == []


@pytest.mark.parametrize("limit", [1, 100, 10_000])
def test_reading_in_pieces_gives_the_same_events(tmp_path, limit):
    """However little is read at a time, nothing is lost or doubled, nor does reading stall."""
    path = healthy(tmp_path / "run.jsonl")
    reader, read = CaptureReader(path), []
    while piece := reader.poll(limit):
        read += piece
    assert read == events()


def test_two_readers_don_t_disturb_each_other(tmp_path):
    """While one run is written, two viewers see the same events."""
    path = tmp_path / "run.jsonl"
    seen = [], []
    with CaptureWriter(path) as writer:
        readers = CaptureReader(path), CaptureReader(path)
        for number, event in enumerate(events()):
            writer.write(event)
            for every, reader, events_ in zip((2, 3), readers, seen, strict=True):
                events_.extend(reader.poll() if number % every == 0 else ())
    for reader, events_ in zip(readers, seen, strict=True):
        events_.extend(reader.poll())
    assert seen[0] == seen[1] == events()


def test_a_file_overwritten_while_read_is_not_mixed_up(tmp_path, recorded):
    """A shorter new run in the same file is refused, not read from the middle."""
    path = put(tmp_path, recorded)
    reader = CaptureReader(path)
    reader.poll()
    put(tmp_path, recorded[: recorded.index(b"\n") + 1])
    with pytest.raises(CaptureUnreadable, match="overwritten"):
        reader.poll()


# --- a disk that is full ----------------------------------------------------------------------


def test_an_existing_file_is_not_overwritten(tmp_path):
    """A capture is kept unless its removal is requested."""
    path = healthy(tmp_path / "run.jsonl")
    with pytest.raises(UsageError, match="exists already"):
        CaptureWriter(path)
    CaptureWriter(path, overwrite=True).close()
    assert path.read_bytes() == b""


def test_a_folder_that_is_not_there_is_told(tmp_path):
    """The error names the file and the system's reason."""
    with pytest.raises(UsageError, match="can't write"):
        CaptureWriter(tmp_path / "none" / "run.jsonl")


def test_closing_twice_is_closing_once(tmp_path):
    """A second close does nothing, and does not close the descriptor's next owner."""
    writer = CaptureWriter(tmp_path / "run.jsonl")
    writer.close()
    with (tmp_path / "other").open("wb") as other:
        writer.close()
        os.write(other.fileno(), b"still open")
    assert (tmp_path / "other").read_bytes() == b"still open"


def test_the_state_of_a_run_is_its_closing_line():
    """The last line says how a run ended; without it the run is INCOMPLETE."""
    for status in ("complete", "interrupted", "failed"):
        end = msgspec.structs.replace(events()[-1], status=status)
        assert in_memory([*events()[:-1], end]).state == status
    assert in_memory(events()[:-1]).state == "INCOMPLETE"
