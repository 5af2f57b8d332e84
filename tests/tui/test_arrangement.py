"""Which panels fit which terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specprof.tui.arrangement import PRIORITY, rows_of


@pytest.mark.parametrize(
    ("width", "height", "rows"),
    [
        (60, 9, [[1]]),
        (80, 20, [[1, 2], [3, 5]]),
        (120, 32, [[1, 2], [3, 4, 5], [6, 7]]),
        (200, 46, [[1, 2], [3, 4, 5], [6, 7]]),
    ],
)
def test_the_usual_terminals_show_the_usual_panels(width, height, rows):
    """The most telling panels come first where not all fit."""
    assert rows_of(list(PRIORITY), width, height) == rows


@given(
    st.lists(st.integers(1, 8), unique=True, min_size=1), st.integers(1, 300), st.integers(1, 100)
)
def test_panels_show_in_order_and_divide_the_grid(wanted, width, height):
    """Whatever the size: something shows, ascending, at most three in a row."""
    rows = rows_of(wanted, width, height)
    shown = [number for row in rows for number in row]
    assert shown == sorted(shown)
    assert set(shown) <= set(wanted)
    assert wanted[0] in shown
    assert all(1 <= len(row) <= 3 for row in rows)
