"""Writing a capture: lines are written together, and whole lines stay on a full disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from captures import events
from specprof import capture_writer
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter


def test_lines_that_follow_at_once_are_written_together(tmp_path, monkeypatch):
    """One write has all of them, in order; `close` writes the lines that are still held."""
    sizes, really = [], os.write

    def heard(*given):
        sizes.append(really(*given))
        return sizes[-1]

    monkeypatch.setattr(capture_writer.os, "write", heard)
    header, *rest = events()[:5]
    with CaptureWriter(tmp_path / "run.jsonl") as writer:
        writer.write(header)
        for each in rest:
            writer.write(each, more=each is not rest[2])
        assert len(sizes) == 2
    assert len(sizes) == 3
    assert read_capture(tmp_path / "run.jsonl").events == rest


def test_of_lines_written_together_the_whole_ones_stay(tmp_path, monkeypatch):
    """The disk is full in the middle of the fourth: three are kept, two are counted as lost."""
    lines = [capture_writer._line(event) for event in events()[:5]]
    room = len(b"".join(lines[:3])) + 5
    really = os.write
    monkeypatch.setattr(capture_writer.os, "write", lambda file, data: really(file, data[:room]))
    with CaptureWriter(tmp_path / "run.jsonl") as writer:
        for each in events()[:5]:
            writer.write(each, more=True)
    assert (writer.lost, writer.trouble) == (2, "no space left for a whole line")
    assert (tmp_path / "run.jsonl").read_bytes() == b"".join(lines[:3])


def test_a_full_disk_stops_the_recording_and_not_the_run():
    """A device that is always full raises nothing, and every loss is counted."""
    with CaptureWriter(Path("/dev/full"), overwrite=True) as writer:
        for event in events():
            writer.write(event)
    assert writer.lost == len(events())
    assert "space" in writer.trouble


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = ["tests/support"]
from captures import events
from specprof.capture_writer import CaptureWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
with CaptureWriter(Path(sys.argv[1])) as writer:
    for event in events():
        writer.write(event)
print(writer.lost, writer.trouble)
"""


@pytest.mark.parametrize("room", [0, 3_000, 3_001, 5_555])
def test_a_short_write_leaves_no_torn_tail(tmp_path, room):
    """If the last line does not fit, the file is cut back to the line before it."""
    path = tmp_path / "run.jsonl"
    command = [sys.executable, "-c", LIMITED, str(path), str(room)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    content = path.read_bytes()
    assert len(content) <= room
    assert content == b"" or content.endswith(b"\n")
    lost, reason = told.split(maxsplit=1)
    assert int(lost) == len(events()) - content.count(b"\n")
    assert reason.strip() not in ("", "None")
