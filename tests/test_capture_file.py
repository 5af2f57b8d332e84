"""A capture that is read again from its file equals one read whole, and is not held in memory."""

import os
import tracemalloc
from pathlib import Path

import pytest

import captures
from specprof import capture_file, extend, registry
from specprof.capture import read_capture
from specprof.capture_file import open_capture
from specprof.errors import CaptureReplaced, CaptureUnreadable
from specprof.records import Note, Round

DATA = Path(__file__).parent / "data"
KEPT = sorted([*DATA.glob("schema-1*.jsonl"), *DATA.glob("fuzz/*/*.jsonl")])
KEPT += sorted(DATA.glob("hostile/*.jsonl"))
TEXT = [
    name
    for name, member in registry.members("exporter").items()
    if not registry.load(extend.Exporter, member).binary
]


def damaged(path: Path) -> Path:
    """Write a run whose file has broken lines, the last of them torn."""
    lines = captures.healthy(path).read_bytes().splitlines(keepends=True)
    lines[3], lines[9] = b"{}\n", b"\xff\n"
    path.write_bytes(b"".join(lines)[:-20])
    return path


MADE = captures.ODD | {"damaged": damaged}


def same_facts(one, other) -> bool:
    names = ("path", "header", "end", "state", "torn", "unreadable")
    return all(getattr(one, name) == getattr(other, name) for name in names) and (
        list(one.damaged) == list(other.damaged) and one.damaged.of == other.damaged.of
    )


def write_both(name, path, folder):
    """Return an exporter's output for a capture in memory, and for one that is read in pieces."""
    try:
        whole = read_capture(path)
    except CaptureUnreadable as trouble:
        with pytest.raises(CaptureUnreadable, match=trouble.args[0][-20:]), open_capture(path):
            pass
        return "", ""
    registry.get(extend.Exporter, name)().write(whole, folder / "held")
    with open_capture(path) as capture:
        registry.get(extend.Exporter, name)().write(capture, folder / "read")
        assert same_facts(capture, whole)
    return (folder / "held").read_bytes(), (folder / "read").read_bytes()


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("size", [1, 700, 1 << 18])
def test_an_export_is_the_same_byte_for_byte(monkeypatch, tmp_path, name, made, size):
    """Events in memory and events read in pieces give equal exports, of odd captures too."""
    monkeypatch.setattr(capture_file, "PIECE_BYTES", size)
    held, read = write_both(name, MADE[made](tmp_path / "run.jsonl"), tmp_path)
    assert held == read
    assert held or (name, made) == ("collapsed", "header_only")


@pytest.mark.parametrize("name", TEXT)
def test_kept_captures_are_exported_the_same(monkeypatch, tmp_path, name):
    """It holds for captures of earlier versions and for captures that attack their readers."""
    monkeypatch.setattr(capture_file, "PIECE_BYTES", 3_000)
    assert len(KEPT) > 50
    for path in KEPT:
        held, read = write_both(name, path, tmp_path)
        assert held == read, path


@pytest.mark.parametrize("name", ["csv", "sqlite"])
def test_an_export_holds_no_more_of_a_longer_capture(monkeypatch, tmp_path, name):
    """Four times the rounds take no more memory."""
    monkeypatch.setattr(capture_file, "PIECE_BYTES", 20_000)
    peaks = []
    for stops in (10, 10, 40):  # the first loads what is loaded once
        path = captures.write(tmp_path / "run.jsonl", captures.events(stops=stops))
        exporter = registry.get(extend.Exporter, name)()
        with open_capture(path) as capture:
            tracemalloc.start()
            exporter.write(capture, tmp_path / "out")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert sum(isinstance(each, Round) for each in capture.events) > 3 * stops
    assert peaks[2] < 1.2 * peaks[1]


def test_an_exporter_that_wants_a_list_has_one(tmp_path):
    """Indices, lengths and slices are those of the list."""
    whole = read_capture(damaged(tmp_path / "run.jsonl"))
    with open_capture(whole.path) as capture:
        assert len(capture.events) == len(whole.events)
        assert capture.events[-1] == whole.events[-1]
        assert capture.events[2:5] == whole.events[2:5]
        assert list(reversed(capture.events)) == whole.events[::-1]


def test_what_is_appended_meanwhile_is_left_out_each_time(tmp_path):
    """While a run goes on, the second reading has the events of the first."""
    path = captures.write(tmp_path / "run.jsonl", captures.events()[:20])
    with open_capture(path) as capture:
        first = list(capture.events)
        path.write_bytes(path.read_bytes() + b'{"event":"note","at_ns":1,"text":"more"}\n')
        assert list(capture.events) == first
        assert (capture.state, len(capture.events)) == ("INCOMPLETE", 19)
    assert read_capture(path).events[-1] == Note(at_ns=1, text="more")


def test_a_name_may_go_to_another_file_meanwhile(tmp_path):
    """The opened file is read to its end, even if its name is replaced or deleted."""
    path = captures.healthy(tmp_path / "run.jsonl")
    with open_capture(path) as capture:
        first = list(capture.events)
        path.unlink()
        captures.tree(path)
        assert list(capture.events) == first


@pytest.mark.parametrize("lines", [-1, 10])
def test_a_file_that_is_overwritten_meanwhile_is_told(tmp_path, lines):
    """Another run overwrites it, longer or shorter, so that two readings would not agree."""
    path = captures.healthy(tmp_path / "run.jsonl")
    other = captures.tree(tmp_path / "other.jsonl").read_bytes().splitlines(keepends=True)[:lines]
    with open_capture(path) as capture:
        assert capture.events
        path.write_bytes(b"".join(other))  # the same file, opened anew
        with pytest.raises(CaptureReplaced):
            list(capture.events)


def test_a_damaged_piece_of_the_file_that_changes_is_told(tmp_path):
    """A line is broken between two readings."""
    path = captures.healthy(tmp_path / "run.jsonl")
    with open_capture(path) as capture:
        assert capture.state == "complete"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] = 0
        with path.open("r+b") as file:
            file.write(content)
        with pytest.raises(CaptureReplaced):
            list(capture.events)


def test_a_line_that_changes_and_still_decodes_is_told(tmp_path):
    """Its length is the same, so no count shows the change, but the file was written."""
    path = captures.healthy(tmp_path / "run.jsonl")
    with open_capture(path) as capture:
        assert capture.state == "complete"
        content = path.read_bytes()
        assert b'"draft"' in content
        with path.open("r+b") as file:
            file.write(content.replace(b'"draft"', b'"dr%ft"', 1))
        then = path.stat().st_mtime_ns + 10**9
        os.utime(path, ns=(then, then))
        with pytest.raises(CaptureReplaced):
            list(capture.events)


@pytest.mark.parametrize("content", [b"", b'{"event":"header"', b"hello\n"])
def test_what_is_no_capture_is_refused_at_once(tmp_path, content):
    """It is refused before an exporter gets anything; so are a missing file and a folder."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    for each in (path, tmp_path, tmp_path / "absent"):
        with pytest.raises(CaptureUnreadable), open_capture(each):
            pass


def test_an_export_that_is_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    """The capture is overwritten during the export, and the old export stays unchanged."""
    from specprof.cli.export import export
    from specprof.exporters import csv

    path, out = captures.healthy(tmp_path / "run.jsonl"), tmp_path / "out.csv"
    out.write_text("old")
    found = csv._survey_events

    def then_overwritten(capture):
        told = found(capture)
        with path.open("r+b") as file:
            file.truncate(3000)
        return told

    monkeypatch.setattr(csv, "_survey_events", then_overwritten)
    with pytest.raises(CaptureReplaced):
        export(format_="csv", capture=path, output=out, force=True)
    assert out.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.csv", "run.jsonl"]
