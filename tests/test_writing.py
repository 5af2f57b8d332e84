"""Output files appear whole, replace no file without permission, and never lead through a link."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specprof import writing
from specprof.errors import SpecprofError, UsageError

WRITERS = {
    "whole": lambda path: writing.write(path, b"new", overwrite=True),
    "fresh": lambda path: writing.open_fresh(path).close(),
    "opened": lambda path: os.close(writing.open_growing(path, overwrite=True)),
}
"""All functions that make a file, with overwriting allowed."""


@pytest.fixture(params=sorted(WRITERS))
def made(request):
    return WRITERS[request.param]


@pytest.mark.parametrize("there", [True, False])
def test_no_file_is_written_through_a_link(tmp_path, made, there):
    """Neither the link nor its goal is touched, even if the link is dangling."""
    outside, link = tmp_path / "outside", tmp_path / "out" / "link"
    link.parent.mkdir()
    if there:
        outside.write_text("precious")
    link.symlink_to(outside)
    with pytest.raises(UsageError, match="it is a link, to") as raised:
        made(link)
    assert str(outside) in raised.value.title
    assert link.is_symlink()
    assert outside.exists() == there
    assert not there or outside.read_text() == "precious"
    assert [each.name for each in link.parent.iterdir()] == ["link"]


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_no_folder_and_no_device_is_taken_for_a_file(tmp_path, made, kind):
    """Nothing waits for a pipe's reader, and nothing is removed."""
    path = tmp_path / "there"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(UsageError, match="no regular file"):
        made(path)
    assert path.exists()


def test_a_file_with_another_name_keeps_what_that_one_holds(tmp_path):
    """A hard link out of the folder is as dangerous as a symbolic link."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.write_text("precious")
    os.link(outside, inside)
    with pytest.raises(UsageError, match="another name elsewhere"):
        writing.open_growing(inside, overwrite=True)
    writing.write(inside, b"new", overwrite=True)
    assert (outside.read_text(), inside.read_bytes()) == ("precious", b"new")
    outside.unlink()
    os.link(inside, outside)
    writing.open_fresh(inside).close()
    assert (outside.read_bytes(), inside.read_bytes()) == (b"new", b"")


def test_what_is_there_is_kept_unless_it_may_be_overwritten(tmp_path):
    """It holds for every way of writing."""
    path = tmp_path / "out"
    path.write_text("mine")
    for refused in (
        lambda: writing.check_room(path, overwrite=False),
        lambda: writing.write(path, b"new", overwrite=False),
        lambda: writing.open_growing(path, overwrite=False),
    ):
        with pytest.raises(UsageError, match="exists already"):
            refused()
    assert path.read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    """The check at the last moment counts, not the one before a long run."""
    path = tmp_path / "out"
    with pytest.raises(UsageError, match="exists already"):  # noqa: PT012 - the block is the point
        with writing.make_whole_file(path, overwrite=False) as part:
            part.write_text("new")
            path.write_text("mine")
    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_without_hard_links_a_file_is_made_as_exclusively(tmp_path, monkeypatch):
    """FAT and some network file systems have no hard links."""

    def none(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    writing.write(tmp_path / "out", b"new", overwrite=False)
    assert (tmp_path / "out").read_bytes() == b"new"
    with pytest.raises(UsageError, match="exists already"):
        writing.write(tmp_path / "out", b"newer", overwrite=False)


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    """The error goes on; neither half a file nor a private folder stays."""
    path = tmp_path / "out"
    path.write_text("mine")

    def broken():
        with writing.make_whole_file(path, overwrite=True) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, 1), (errno.EDQUOT, 1), (errno.EROFS, 2), (errno.EACCES, 2)]
)
def test_a_full_disk_is_a_failed_run_and_a_wrong_place_the_users(tmp_path, number, code):
    """The exit codes are 1 and 2; one line has the system's word."""
    with pytest.raises(SpecprofError, match="can't write") as raised:
        with writing.make_whole_file(tmp_path / "out", overwrite=False):
            raise OSError(number, os.strerror(number))
    assert raised.value.exit_code == code
    assert os.strerror(number) in raised.value.title


@pytest.mark.parametrize("name", ["x" * 256, "é" * 200, "a\0b"])
def test_a_name_no_file_can_have_is_refused(tmp_path, name):
    """It is too long in bytes, or has a forbidden sign: one error, exit code 2."""
    for ask in (
        lambda path: writing.check_room(path, overwrite=True),
        lambda path: writing.open_growing(path, overwrite=False),
        lambda path: writing.write(path, b"", overwrite=False),
        writing.make_folder,
    ):
        with pytest.raises(UsageError, match="can't write"):
            ask(tmp_path / name)


def test_the_longest_name_and_one_that_is_no_utf_8_are_written(tmp_path):
    """The temporary file needs no longer name than the file."""
    for name in ("x" * 255, os.fsdecode(b"\xff\xfe")):
        writing.write(tmp_path / name, b"new", overwrite=False)
        assert (tmp_path / name).read_bytes() == b"new"


def test_a_missing_folder_is_told_before_the_run(tmp_path):
    """The error has the remedy."""
    with pytest.raises(UsageError, match="no such folder"):
        writing.check_room(tmp_path / "no" / "out", overwrite=True)


def test_a_linked_folder_is_not_entered(tmp_path):
    """A folder beside a capture may come from the capture's author."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run.jsonl.probes").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="it is a link, to"):
        writing.make_folder(tmp_path / "run.jsonl.probes")


@given(st.text())
def test_foreign_text_makes_a_name_in_this_folder(text):
    """The name has no folder and no dot in front, is printable, and stays short with a suffix."""
    name = writing.safe_file_name(text)
    assert Path(name).name == name
    assert name not in {"", ".", ".."}
    assert not name.startswith((".", "-"))
    assert name.isprintable()
    assert len(os.fsencode(name)) <= 160


@pytest.mark.parametrize(
    ("text", "name"),
    [("../../x", "x"), ("/etc/passwd", "etc-passwd"), ("..", "unnamed"), ("smoke", "smoke")],
)
def test_a_name_is_kept_where_it_is_one(text, name):
    """Parts that lead elsewhere are cut off."""
    assert writing.safe_file_name(text) == name
