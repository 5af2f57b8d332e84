"""Lines that are written together: in one write, and whole ones stay where the disk is full."""

import os

from captures import events
from specprof import capture as module
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter


def test_lines_that_follow_at_once_are_written_together(tmp_path, monkeypatch):
    """One write for all of them, in order; what is still held at the end is written by `close`."""
    sizes, really = [], os.write
    monkeypatch.setattr(module.os, "write", lambda *a: sizes.append(really(*a)) or sizes[-1])
    header, *rest = events()[:5]
    with CaptureWriter(tmp_path / "run.jsonl") as writer:
        writer.write(header)
        for each in rest:
            writer.write(each, more=each is not rest[2])
        assert len(sizes) == 2
    assert len(sizes) == 3
    assert read_capture(tmp_path / "run.jsonl").events == rest


def test_of_lines_written_together_the_whole_ones_stay(tmp_path, monkeypatch):
    """A full disk in the middle of the fourth: three are kept, two are counted as lost."""
    lines = [module._line(event) for event in events()[:5]]
    room = len(b"".join(lines[:3])) + 5
    really = os.write
    monkeypatch.setattr(module.os, "write", lambda file, data: really(file, data[:room]))
    with CaptureWriter(tmp_path / "run.jsonl") as writer:
        for each in events()[:5]:
            writer.write(each, more=True)
    assert (writer.lost, writer.trouble) == (2, "no space left for a whole line")
    assert (tmp_path / "run.jsonl").read_bytes() == b"".join(lines[:3])
