"""Rows of the place before or after their own are told from rows of a wrong state."""

import pytest
import torch

from specprof.engine.recheck.shifted import MIN_GAP, find_shifted
from specprof.recheck_records import ShiftedRows

ROWS, IDS = 12, 50
CLEAN = torch.randn(ROWS, IDS, generator=torch.Generator().manual_seed(0))
PLACES = range(1, ROWS - 1)
FAR = [2 * MIN_GAP] * len(PLACES)


def shifted(used, gaps=FAR, *, known=True):
    return find_shifted(used, PLACES, CLEAN, gaps, known=[known] * len(PLACES))


@pytest.mark.parametrize("offset", [-1, 1])
def test_rows_of_a_neighbour_are_counted(offset):
    """However they are rounded and padded."""
    used = [torch.cat([CLEAN[place + offset], torch.tensor([-60.0])]) for place in PLACES]
    used = [row.to(torch.float16) for row in used]
    count = len(PLACES)
    assert shifted(used) == [ShiftedRows(offset=offset, compared=count, equal=count)]


def test_rows_of_no_place_are_nobodys():
    """A wrong state gives rows that the text has nowhere; a row that was not kept says nothing."""
    assert shifted([CLEAN[place] + torch.arange(IDS) / 9 for place in PLACES]) == []
    assert shifted([None] * len(PLACES)) == []


def test_right_rows_are_not_asked_for_a_neighbour():
    """In a text that repeats itself a neighbour's row may be the same."""
    used = [CLEAN[place + 1] for place in PLACES]
    assert shifted(used, [0.0] * len(PLACES)) == []
    assert shifted(used, [None] * len(PLACES)) == []


def test_the_row_behind_a_rejected_draft_is_not_compared():
    """The text goes on with another token there."""
    assert shifted([CLEAN[place + 1] for place in PLACES], known=False) == []


def test_the_ends_of_the_text_have_one_neighbour():
    """No row comes before the first, none after the last."""
    for place, offset in ((0, -1), (ROWS - 1, 1)):
        used = [CLEAN[place - offset]]
        found = find_shifted(used, [place], CLEAN, [1.0], known=[True])
        assert found == [ShiftedRows(offset=-offset, compared=1, equal=1)]
        assert find_shifted([CLEAN[5] + 1 / 9], [place], CLEAN, [1.0], known=[True]) == []
