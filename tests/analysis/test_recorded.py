"""A capture read as columns, a piece at a time, is the capture read whole and laid out."""

import numpy as np
import pytest

import captures
from specprof.analysis import recorded
from specprof.analysis.recorded import lay_out_capture, read_columns
from specprof.analysis.tables import Table
from specprof.capture import read_capture
from specprof.errors import CaptureUnreadable


def alike(one, other):
    for name, table in vars(one).items():
        if isinstance(table, Table):
            for column in type(table).__annotations__:
                theirs = getattr(getattr(other, name), column)
                np.testing.assert_array_equal(getattr(table, column), theirs)
    assert one.spans.keys() == other.spans.keys()
    lists = (one.prefills, one.bursts, one.plains, one.notes)
    assert lists == (other.prefills, other.bursts, other.plains, other.notes)


@pytest.mark.parametrize("make", captures.ODD.values(), ids=captures.ODD)
@pytest.mark.parametrize("size", [1, 700, 1 << 18])
def test_pieces_are_the_whole(monkeypatch, tmp_path, make, size):
    """Odd captures too: cut short, damaged, of scored text, of a batch."""
    monkeypatch.setattr(recorded, "PIECE_BYTES", size)
    path = make(tmp_path / "run.jsonl")
    read, whole = read_columns(path), read_capture(path)
    alike(read.columns, lay_out_capture(whole).columns)
    assert (read.state, read.torn) == (whole.state, whole.torn)
    assert list(read.damaged) == list(whole.damaged)
    assert read.header == whole.header


def test_a_file_without_a_line_is_refused(tmp_path):
    """As by every reader."""
    path = tmp_path / "empty.jsonl"
    path.touch()
    with pytest.raises(CaptureUnreadable, match="no complete line"):
        read_columns(path)
