"""A loop is found as soon as it is one, and text is not called a loop."""

import numpy as np
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.text_health import looping_frac, mark_loops


def zipf(n, seed=0):
    return np.minimum(np.random.default_rng(seed).zipf(1.3, n), 500).astype(np.int64)


def test_text_is_no_loop():
    """No false alarm in 4500 tokens of Zipf text (theory 9.1), on any of 5 seeds."""
    for seed in range(5):
        assert not mark_loops(zipf(4500, seed)).any()


@pytest.mark.parametrize("period", [1, 2, 17, 90, 256])
def test_a_planted_loop_is_marked_from_its_first_repetition(period):
    """And the text before it is not."""
    word = np.arange(1000, 1000 + period)
    tokens = np.concatenate([zipf(500), np.tile(word, 1 + 300 // period + 4)])
    marked = mark_loops(tokens)
    assert not marked[:500].any()
    assert not marked[500 : 500 + period].any()
    assert marked[500 + period :].all()


def test_a_short_repetition_is_no_loop():
    """A list of four like items is text."""
    tokens = np.concatenate([zipf(200), np.tile(np.arange(1000, 1010), 4), zipf(200, 1)])
    assert not mark_loops(tokens).any()


def test_bursts_are_kept_apart():
    """Forty bursts that begin alike are no loop; one that loops inside is."""
    columns = Columns()
    columns.feed(captures.events("looping-text", stops=2, max_new_tokens=300))
    share, n = looping_frac(columns)
    assert n == 600
    assert share > 0.5
    alike = Columns()
    alike.feed(captures.events("looping-text", stops=40, max_new_tokens=30))
    assert looping_frac(alike)[0] == 0
    assert looping_frac(Columns()) == (0.0, 0)
