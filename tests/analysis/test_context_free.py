"""What came before each token, worked out at once, is what counting one by one gives."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from specprof.analysis.context_free import _commonest, _table_nll

TOKENS = st.lists(st.integers(0, 4), max_size=40).map(lambda each: np.array(each, np.int64))


@given(TOKENS)
def test_the_commonest_so_far_is_the_first_that_came_so_often(tokens):
    """-1 before the first; a tie stays with the one that led."""
    counts, best = {}, -1
    for token, told in zip(tokens.tolist(), _commonest(tokens).tolist(), strict=True):
        assert told == best
        counts[token] = counts.get(token, 0) + 1
        if counts[token] > counts.get(best, 0):
            best = token


@given(TOKENS)
def test_a_table_knows_what_came_before(tokens):
    """Half its law is the share so far, half is even."""
    told = _table_nll(tokens, 9)
    for place, token in enumerate(tokens.tolist()):
        share = tokens[:place].tolist().count(token) / max(place, 1)
        assert math.isclose(told[place], -math.log(0.5 * share + 0.5 / 9))
