"""The log of a run with a dashboard takes nobody's file."""

import os

import pytest

from specprof.errors import UsageError
from specprof.run_log import choose_log, open_log


def test_a_log_that_another_run_writes_is_not_cut(tmp_path):
    """Two dashboards begin under one name: the second is refused before it cuts the log."""
    log = tmp_path / "a.jsonl.log"
    with open_log(log) as file:
        os.write(file, b"precious")
        with pytest.raises(UsageError, match="another run"), open_log(log):
            pass
        assert log.read_bytes() == b"precious"
    log.unlink()
    (tmp_path / "elsewhere").write_text("precious")
    log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="can't write"), open_log(log):
        pass
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_log_that_may_be_the_users_own_is_left_alone(tmp_path):
    """The run's narration goes to a numbered log beside it; --force overwrites the old log."""
    path, log = tmp_path / "a.jsonl", tmp_path / "a.jsonl.log"
    assert choose_log(path, force=False) == log
    log.touch()
    assert choose_log(path, force=False) == log
    log.write_text("precious")
    second = tmp_path / "a.jsonl.2.log"
    assert choose_log(path, force=False) == second
    second.mkdir()
    assert choose_log(path, force=False) == tmp_path / "a.jsonl.3.log"
    for force in (False, True):
        with pytest.raises(UsageError, match="exists already"), open_log(log, force=force):
            pass
    assert log.read_text() == "precious"


@pytest.mark.parametrize(
    "opening", ["[   0.0 s] default: pocket/target\n", "| a library's words\n"]
)
def test_force_gives_up_the_log_of_a_run_with_its_capture(tmp_path, opening):
    """It is known by its first line."""
    path, log = tmp_path / "a.jsonl", tmp_path / "a.jsonl.log"
    log.write_text(opening)
    assert choose_log(path, force=False) == tmp_path / "a.jsonl.2.log"
    assert choose_log(path, force=True) == log
    with open_log(log, force=True):
        assert not log.read_text()


@pytest.mark.parametrize("kind", ["file", "link", "folder", "pipe"])
def test_force_gives_up_nothing_else_that_has_a_logs_name(tmp_path, kind):
    """Somebody's notes, a link to them, a folder: the run's words go to a numbered log."""
    path, log, notes = tmp_path / "a.jsonl", tmp_path / "a.jsonl.log", tmp_path / "notes"
    notes.write_text("[   0.0 s] precious\n")
    {
        "file": lambda: log.write_text("precious"),
        "link": lambda: log.symlink_to(notes),
        "folder": log.mkdir,
        "pipe": lambda: os.mkfifo(log),
    }[kind]()
    assert choose_log(path, force=True) == tmp_path / "a.jsonl.2.log"
    assert notes.read_text() == "[   0.0 s] precious\n"
    if kind == "file":
        assert log.read_text() == "precious"
