"""A column holds what was put into it, in whatever pieces, and takes room only where it must."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specprof.analysis import growing
from specprof.analysis.growing import Column

ALIKE = st.sampled_from([0.0, -0.0, float("nan"), 1.0])
PIECES = st.lists(
    st.one_of(
        st.lists(ALIKE, min_size=1, max_size=5),
        st.tuples(ALIKE, st.integers(1, 400)).map(lambda pair: [pair[0]] * pair[1]),
    ),
    max_size=6,
)


@given(PIECES)
def test_a_column_shows_what_it_was_given_bit_by_bit(pieces):
    """One number over and over, nan, both zeros, and changes at any place."""
    column, views = Column(np.float64), []
    for piece in pieces:
        column.extend(np.array(piece))
        views.append((column.shown, column.shown.tobytes()))
    whole = np.array([value for piece in pieces for value in piece])
    assert column.shown.tobytes() == whole.tobytes()
    assert all(view.tobytes() == before for view, before in views)


def test_numbers_that_are_all_alike_take_no_room():
    """A million of one kind are one; the first that differs takes room for all."""
    column = Column(np.float64)
    tracemalloc.start()
    for _ in range(100):
        column.extend(np.full(10_000, np.nan))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200_000
    column.extend(np.array([7.0]))
    assert np.isnan(column.shown[:-1]).all()
    assert column.shown[-1] == 7
    assert len(column.shown) == 1_000_001


@pytest.mark.parametrize("mapped", [1, 1 << 20])
def test_a_column_grows_past_its_room(monkeypatch, mapped):
    """From whoever gives the room."""
    monkeypatch.setattr(growing, "MAPPED_BYTES", mapped)
    column = Column(np.int64)
    for start in range(0, 5000, 7):
        column.extend(np.arange(start, start + 7, dtype=np.float64))
    assert column.shown.dtype == np.int64
    np.testing.assert_array_equal(column.shown, np.arange(len(column.shown)))


def test_room_is_zero_beyond_what_is_used():
    """A span that first shows late took no time before."""
    grown = growing.ensure_room(np.ones(4, np.int64), 300_000, 3)
    assert grown[:3].tolist() == [1, 1, 1]
    assert not grown[3:].any()
