"""``specprof export``, as a user runs it."""

import json
import subprocess
import sys

import pytest

from captures import ODD, events, healthy, truncated
from formats import check_speedscope, collapsed_stacks
from specprof.errors import SpecprofError


def specprof(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specprof", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, text=True)


@pytest.fixture
def capture(tmp_path):
    return healthy(tmp_path / "run.jsonl")


def test_the_file_lies_beside_the_capture(capture):
    """Without -o the capture's name gets the format's suffix; stderr says where to open it."""
    ended = specprof("export", "speedscope", capture)
    path = capture.with_name("run.speedscope.json")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert str(path) in ended.stderr
    assert "https://www.speedscope.app" in ended.stderr
    check_speedscope(json.loads(path.read_text()))
    assert sorted(each.name for each in capture.parent.iterdir()) == [
        "run.jsonl", "run.speedscope.json",
    ]  # fmt: skip


def test_a_dash_writes_to_stdout(capture):
    """Only data on stdout, so it can be piped on."""
    ended = specprof("export", "collapsed", capture, "-o", "-")
    assert sum(collapsed_stacks(ended.stdout).values()) == events()[-1].wall_ns
    assert ended.stderr == ""


def test_a_closed_pipe_is_no_crash(capture):
    """`specprof export ... | head` ends without a traceback."""
    command = [sys.executable, "-m", "specprof", "export", "chrome", str(capture), "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert b"Traceback" not in child.stderr.read()


def test_an_existing_file_is_kept_unless_forced(capture):
    """The refusal names --force; with it the file is replaced."""
    path = capture.with_name("run.csv")
    path.write_text("mine")
    refused = specprof("export", "csv", capture)
    assert (refused.returncode, path.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert specprof("export", "csv", capture, "--force").returncode == 0
    assert path.read_text().startswith("round_index,")


@pytest.mark.parametrize("flags", [[], ["--force"]])
def test_the_capture_itself_is_never_overwritten(capture, flags):
    """Not even when asked to."""
    before = capture.read_bytes()
    ended = specprof("export", "json", capture, "-o", capture, *flags)
    assert ended.returncode == 2
    assert capture.read_bytes() == before


@pytest.mark.parametrize("place", [".", "/dev/full", "none/out.csv"])
def test_a_place_that_can_t_be_written_is_told(capture, place):
    """A folder, a device, a missing folder: refused with a remedy, nothing left behind."""
    ended = specprof("export", "csv", capture, "--force", "-o", capture.parent / place)
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    assert "-o" in ended.stderr
    assert [each.name for each in capture.parent.iterdir()] == ["run.jsonl"]


def test_an_unknown_format_lists_the_known(capture):
    """Nearest first, exit code 2."""
    ended = specprof("export", "speedscop", capture)
    assert ended.returncode == 2
    assert "known: speedscope," in ended.stderr


def test_a_killed_run_is_exported_and_called_incomplete(tmp_path):
    """What was recorded is written, and what is missing is said."""
    path = truncated(tmp_path / "run.jsonl")
    ended = specprof("export", "json", path)
    assert ended.returncode == 0
    assert "INCOMPLETE" in ended.stderr
    assert "torn" in ended.stderr
    assert json.loads((tmp_path / "run.json").read_text())["capture"]["state"] == "INCOMPLETE"


def test_a_file_that_is_no_capture_ends_with_code_5(tmp_path):
    """The documented exit code of an unreadable capture; nothing is written."""
    (tmp_path / "run.jsonl").write_text("hello\n")
    ended = specprof("export", "csv", tmp_path / "run.jsonl")
    assert ended.returncode == 5
    assert not (tmp_path / "run.csv").exists()


def test_a_failing_exporter_leaves_no_half_file(capture, monkeypatch):
    """The file appears whole or not at all."""
    from specprof.cli import export
    from specprof.exporters.csv import Csv

    def fail(_exporter, _capture, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Csv, "write", fail)
    with pytest.raises(SpecprofError, match="No space left"):
        export.export(format_="csv", capture=capture, output=None, force=False)
    assert [each.name for each in capture.parent.iterdir()] == ["run.jsonl"]


def test_no_hostile_text_reaches_the_terminal(tmp_path):
    """Neither stdout nor stderr carries a control from a capture."""
    path = ODD["hostile"](tmp_path / "run.jsonl")
    for format_ in ("collapsed", "csv", "chrome", "speedscope", "json"):
        ended = specprof("export", format_, path, "-o", "-")
        told = ended.stdout + ended.stderr
        assert told
        assert "".join(told.splitlines()).isprintable()


@pytest.mark.parametrize("place", ["/dev/stdout", "/proc/self/fd/1"])
def test_stdout_by_its_path_is_answered_with_the_dash(capture, place):
    """What to type instead."""
    ended = specprof("export", "csv", capture, "-o", place)
    assert ended.returncode == 2
    assert "give `-o -` to write to stdout" in ended.stderr
