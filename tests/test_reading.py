"""Reading files of any kind: regular ones up to a stated size, others are refused at once."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from specprof import reading
from specprof.reading import (
    is_regular,
    open_regular,
    read_bytes,
    read_end,
    read_text,
    refuse_deep_keys,
)


def fifo(folder):
    os.mkfifo(folder / "odd")
    return folder / "odd"


def socket_(folder):
    listening = socket.socket(socket.AF_UNIX)
    os.chdir(folder)  # a socket's name must be short
    listening.bind("odd")
    listening.close()
    return folder / "odd"


def device(folder):
    (folder / "odd").symlink_to("/dev/zero")
    return folder / "odd"


def terminal(folder):
    return Path("/dev/ptmx")


def directory(folder):
    (folder / "odd").mkdir()
    return folder / "odd"


def loop(folder):
    (folder / "odd").symlink_to(folder / "odd")
    return folder / "odd"


def long_name(folder):
    return folder / ("x" * 300)


def null_name(folder):
    return folder / "a\0b"


def half_name(folder):
    return folder / "a\ud800b"


ODD = (fifo, socket_, device, terminal, directory, loop, long_name, null_name, half_name)


@pytest.mark.parametrize("made", ODD, ids=lambda made: made.__name__)
@pytest.mark.parametrize("read", [open_regular, lambda path: read_bytes(path, 9)], ids=["o", "r"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, monkeypatch, made, read):
    """The error has the system's reason or ours, and nothing blocks."""
    monkeypatch.chdir(tmp_path)
    path = made(tmp_path)
    started = time.monotonic()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the words are looked at below
        read(path)
    assert caught.value.strerror
    assert time.monotonic() - started < 5
    assert not is_regular(path)


def test_a_pipe_is_named_with_what_to_do(tmp_path):
    """`<(command)` gives a pipe, which can't be read twice."""
    with pytest.raises(OSError, match="a pipe, no regular file; write it to a file first"):
        read_bytes(fifo(tmp_path), 9)


def test_no_descriptor_is_left_open_by_a_refusal(tmp_path, monkeypatch):
    """A file that becomes a pipe before it is opened is refused and closed again."""
    (tmp_path / "regular").write_text("x")
    regular = (tmp_path / "regular").stat()
    monkeypatch.setattr(reading.Path, "stat", lambda _: regular)
    os.mkfifo(tmp_path / "pipe")
    unused = os.open(tmp_path / "regular", os.O_RDONLY)
    os.close(unused)
    with pytest.raises(OSError, match="a pipe"):
        open_regular(tmp_path / "pipe")
    assert os.open(tmp_path / "regular", os.O_RDONLY) == unused
    os.close(unused)


@pytest.mark.parametrize(("size", "fits"), [(0, True), (99, True), (100, True), (101, False)])
def test_no_more_than_stated_is_read(tmp_path, size, fits):
    """The bound itself still fits."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    if fits:
        assert read_bytes(path, 100) == b"x" * size
    else:
        with pytest.raises(OSError, match="larger than 100 bytes"):
            read_bytes(path, 100)


def test_a_huge_file_costs_no_more_than_the_bound(tmp_path):
    """A sparse terabyte is refused after a megabyte."""
    path = tmp_path / "hole"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_bytes(path, 1 << 20)
    assert len(read_end(path, 1000)) == 1000


def test_a_file_that_grows_all_the_time_is_read_to_the_bound(tmp_path):
    """The writer never stops, but reading does."""
    path, done = tmp_path / "grows", threading.Event()
    path.write_bytes(b"x" * 1000)

    def grow():
        with path.open("ab") as file:
            while not done.is_set():
                file.write(b"x" * 4096)
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        ends = time.monotonic() + 30
        while path.stat().st_size < 256 * 1024:
            assert time.monotonic() < ends
        with pytest.raises(OSError, match="larger than 262,144 bytes"):
            read_bytes(path, 256 * 1024)
    finally:
        done.set()
        writer.join()


def test_many_decimals_of_a_line_are_no_deep_key():
    """A list of temperatures is one line; so is a sentence."""
    refuse_deep_keys(f"temperature = [{', '.join(['0.5'] * 500)}]\nabout = 'One. Two. Three ...'\n")
    with pytest.raises(ValueError, match="line 2 has more than 32 points"):
        refuse_deep_keys("a = 1\n" + "1." * 100 + "1 = 2\n")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
def test_a_file_that_states_no_size_is_read():
    """Files in /proc claim to have no bytes."""
    assert Path("/proc/self/status").stat().st_size == 0
    assert "Pid:" in read_text(Path("/proc/self/status"), 1 << 20)


def test_text_is_read_as_python_reads_it(tmp_path):
    """It has line ends of all systems, and a byte order mark if the encoding has one."""
    path = tmp_path / "text"
    path.write_bytes("\ufeffa\r\nb\rc\n".encode())
    assert read_text(path, 100, "utf-8-sig") == path.read_text(encoding="utf-8-sig") == "a\nb\nc\n"
    path.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_text(path, 100)
