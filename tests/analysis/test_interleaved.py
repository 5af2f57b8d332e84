"""Medians over repetitions, by hand."""

import numpy as np
import pytest

from specprof.analysis.interleaved import FEWEST, faster, median, per_second

STEADY = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
"""Nanoseconds: the machine got slower and slower."""


def test_a_ratio_is_made_within_each_repetition():
    """Twice as fast in each is twice as fast, however the machine drifts; the pair's order too."""
    found = faster(STEADY, 2 * STEADY)
    assert (found.value, found.n) == (2.0, 3)
    there_and_back = np.array([[1.0, 3.0]])
    assert faster(there_and_back, np.array([[2.0, 2.0]])).value == 1.0


def test_a_rate_is_the_middle_repetitions():
    """Ten of something in 1, 2 and 4 ns a play."""
    assert per_second(10, STEADY).value == 5e9
    assert per_second(8, np.array([[1.0, 3.0]])).value == 4e9


def test_few_repetitions_have_no_interval():
    """From six on the least and the greatest hold the median in 95 of 100 cases."""
    assert 1 - 2 / 2 ** (FEWEST - 1) < 0.95 <= 1 - 2 / 2**FEWEST
    five = median(np.arange(5.0))
    assert (five.value, five.low, five.high, five.n) == (2.0, None, None, 5)


def test_the_interval_is_that_of_resampled_medians():
    """Of 101 equal steps: by the normal limit 50 ± 1.96 * 101 * 0.5 / sqrt(101)."""
    found = median(np.arange(101.0))
    assert found.value == 50.0
    half = 1.96 * 101 * 0.5 / np.sqrt(101)
    assert found.low == pytest.approx(50 - half, abs=2)
    assert found.high == pytest.approx(50 + half, abs=2)


def test_an_interval_is_repeatable_and_covers():
    """The seed is fixed; over 400 samples of 15 it holds the true median in 91 to 99 of 100."""
    values = np.random.default_rng(1).exponential(size=(400, 15))
    bounds = [median(each) for each in values]
    held = np.mean([each.low <= np.log(2) <= each.high for each in bounds])
    assert 0.91 < held < 0.99
    assert median(values[0]) == bounds[0]


def test_nothing_played_is_nothing_known():
    """No repetition, no figure."""
    empty = np.empty((0, 2))
    assert per_second(10, empty) is None
    assert faster(empty, empty) is None
