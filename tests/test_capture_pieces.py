"""Reading a capture in pieces gives the same events, wherever the pieces end."""

import pytest

from captures import healthy
from specprof.capture import CaptureReader


@pytest.mark.parametrize("size", [1, 700, 5_000, 10**9])
def test_pieces_hold_what_the_whole_holds(tmp_path, size):
    """Each event once, in order; a piece is never cut inside a line."""
    path = healthy(tmp_path / "run.jsonl")
    whole = CaptureReader(path).poll()
    pieces = list(CaptureReader(path).pieces(size))
    assert [event for piece in pieces for event in piece] == whole
    assert len(whole) > 30
    assert (len(pieces) > 2) == (size < 10**9)


def test_a_stretch_of_damaged_lines_ends_nothing(tmp_path):
    """Pieces without a whole line are followed by pieces with some; all damaged lines are named."""
    path = healthy(tmp_path / "run.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    path.write_bytes(b"".join([*lines[:middle], *[b"x" * 200 + b"\n"] * 50, *lines[middle:]]))
    reader = CaptureReader(path)
    found = [event for piece in reader.pieces(400) for event in piece]
    assert len(found) == len(lines)
    assert [each.line for each in reader.damaged] == [*range(middle + 1, middle + 51)]
