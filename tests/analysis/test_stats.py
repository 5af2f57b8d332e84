"""Intervals cover, tests keep their error rate, and both find what is there."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from specprof.analysis import stats


def test_wilson_and_clopper_pearson_match_scipy():
    """Two independent implementations agree to the last printed digit."""
    for hits, n in [(3, 17), (80, 160), (0, 12), (12, 12)]:
        test = reference.binomtest(hits, n)
        for method, ours in (("wilson", stats.wilson), ("exact", stats.clopper_pearson)):
            theirs = test.proportion_ci(method=method)
            assert ours(hits, n).low == pytest.approx(theirs.low, abs=1e-9)
            assert ours(hits, n).high == pytest.approx(theirs.high, abs=1e-9)


def test_few_or_unanimous_observations_get_the_exact_interval():
    """Wilson is used only where it covers."""
    assert stats.proportion(0, 500) == stats.clopper_pearson(0, 500)
    assert stats.proportion(5, 20) == stats.clopper_pearson(5, 20)
    assert stats.proportion(50, 500) == stats.wilson(50, 500)


def test_binomial_excess_is_the_tail():
    """Matches scipy's survival function."""
    assert stats.binomial_excess(7, 1000, 0.002) == pytest.approx(
        reference.binom.sf(6, 1000, 0.002)
    )
    assert stats.binomial_excess(0, 10, 0.5) == 1.0


@pytest.mark.parametrize(("persistence", "time"), [(0.0, 1.0), (0.9, 19.0)])
def test_autocorrelation_time_of_a_known_process(persistence, time):
    """An AR(1) series has time (1 + r) / (1 - r)."""
    series = autoregressive(np.random.default_rng(1), 40_000, persistence)
    assert stats.autocorrelation_time(series) == pytest.approx(time, rel=0.25)


def autoregressive(random, n, persistence):
    noise = random.standard_normal(n) * math.sqrt(1 - persistence**2)
    series = np.empty(n)
    series[0] = random.standard_normal()
    for i in range(1, n):
        series[i] = persistence * series[i - 1] + noise[i]
    return series


def test_block_bootstrap_covers_where_rounds_resemble_their_neighbours():
    """Over 60 autocorrelated series the 95% interval covers at least 80% (a naive one: ~45%)."""
    random, covered = np.random.default_rng(7), 0
    for _ in range(60):
        chance = 1 / (1 + np.exp(-autoregressive(random, 1500, 0.9)))
        accepted = random.binomial(4, chance).astype(float)
        estimate = stats.ratio(accepted, np.full(1500, 4.0))
        covered += estimate.low <= 0.5 <= estimate.high
    assert covered >= 48


def test_a_ratio_is_of_sums_not_a_mean_of_ratios():
    """Rounds with a larger denominator weigh more."""
    estimate = stats.ratio(np.array([1.0, 0.0] * 20), np.array([4.0, 1.0] * 20))
    assert estimate.value == pytest.approx(0.2)
    assert math.isnan(stats.ratio(np.zeros(3), np.zeros(3)).value)


def coins(seed, n=3000, tilt=0.0):
    random = np.random.default_rng(seed)
    owed = random.beta(1.2, 0.8, n)
    tilted = 1 / (1 + np.exp(-(np.log(owed / (1 - owed)) + tilt)))
    return owed, (random.random(n) < tilted).astype(float)


def test_fair_coins_are_rarely_called_unfair_however_often_one_looks():
    """At level 5% over 200 seeds, watched at every toss, at most 5% + 3 sd alarms."""
    alarms = sum(stats.fair_coins(*coins(seed)).p_value <= 0.05 for seed in range(200))
    assert alarms <= 19


@pytest.mark.parametrize("tilt", [-0.6, 0.6])
def test_unfair_coins_are_found_and_the_side_is_named(tilt):
    """A tilt of 0.6 in log-odds is found in 3000 tosses at level 1 in 10^4, on all of 20 seeds."""
    for seed in range(20):
        trial = stats.fair_coins(*coins(seed, tilt=tilt))
        assert trial.p_value < 1e-4
        assert np.sign(trial.mean) == np.sign(tilt)
        assert trial.ended <= 3000


def test_fair_bets_keep_their_error_rate_and_find_a_bias():
    """Uniform differences alarm on at most 5% + 3 sd of 200 seeds; shifted by 0.1, always."""
    fair = [np.random.default_rng(seed).uniform(-1, 1, 2000) for seed in range(200)]
    assert sum(stats.fair_bets(d).p_value <= 0.05 for d in fair) <= 19
    assert all(stats.fair_bets(d[:2000] + 0.1).p_value < 1e-3 for d in fair[:20])


def test_the_detectable_effect_is_detected():
    """An effect of the stated limit is found at the stated rate in nine of ten of 200 seeds."""
    found = {"coins": 0, "bets": 0}
    for seed in range(200):
        owed, _ = coins(seed)
        effect = stats.fair_coins(*coins(seed)).detectable
        random = np.random.default_rng(seed + 99)
        came = random.random(3000) < np.clip(owed + effect, 0, 1)
        found["coins"] += (
            stats.fair_coins(owed, came.astype(float)).p_value <= stats.LIMIT_ERROR_RATE
        )
        fair = random.uniform(-0.8, 0.8, 3000)
        moved = stats.fair_bets(fair + stats.fair_bets(fair).detectable)
        found["bets"] += moved.p_value <= stats.LIMIT_ERROR_RATE
    assert min(found.values()) >= 170, found


def test_a_bet_on_one_side_never_wins_by_the_other():
    """Who was far ahead and falls back to level has lost nothing: no alarm in 50 seeds."""
    for seed in range(50):
        level = np.random.default_rng(seed).choice([-1.0, 0.0, 0.0, 1.0], 2000)
        differences = np.concatenate([-np.ones(60), level, np.ones(20)])
        assert stats.fair_bets(differences).p_value < 1e-4
        assert stats.fair_bets(differences, both=False).p_value > 1e-3
    assert stats.fair_bets(np.full(200, 0.3), both=False).p_value < 1e-4


def test_nothing_observed_is_no_evidence():
    """An empty trial has p-value 1 and can detect nothing."""
    trial = stats.fair_coins(np.empty(0), np.empty(0))
    assert trial.p_value == 1.0
    assert trial.detectable == math.inf


def test_block_permutation_is_calibrated_and_finds_a_step():
    """Under no step, p <= 0.05 on at most 5% + 3 sd of 100 seeds; a step of 0.3 is found."""
    inside, counts = np.arange(40) < 10, np.full(40, 50.0)
    p_values = []
    for seed in range(100):
        sums = np.random.default_rng(seed).binomial(50, 0.6, 40).astype(float)
        p_values.append(stats.block_permutation(sums, counts, inside, draws=400))
    assert sum(each <= 0.05 for each in p_values) <= 12
    sums = np.random.default_rng(0).binomial(50, np.where(inside, 0.7, 0.4)).astype(float)
    assert stats.block_permutation(sums, counts, inside) < 0.001


def trials(seed, n=700):
    random = np.random.default_rng(seed)
    owed, came = coins(seed, n, tilt=0.3 * (seed % 3))
    moved = random.uniform(-1, 1, n) + 0.1 * (seed % 2)
    yield stats.fair_coins(owed, came)
    yield stats.fair_bets(moved)
    yield stats.fair_bets(moved, both=False)
    yield stats.fair_sums(3 * moved, random.random(n))
    yield stats.fair_tails(random.random(n))
    yield stats.fair_draws(np.exp(moved))
    yield stats.rare_events(random.random(n) < 0.02, 0.002)
    yield stats.fair_bets(np.zeros(n))


@pytest.mark.parametrize("piece", [1, 64, 699])
def test_a_trial_in_pieces_is_the_trial_at_once(monkeypatch, piece):
    """Bit by bit: fortunes are carried from one piece to the next."""
    at_once = [list(trials(seed)) for seed in range(6)]
    monkeypatch.setattr(stats, "_OBSERVATIONS_TOGETHER", piece)
    assert [list(trials(seed)) for seed in range(6)] == at_once


def test_what_is_no_number_is_no_verdict():
    """A trial that can't be worked out says so, wherever the number stands."""
    for place in (0, 5, 9):
        differences = np.zeros(10)
        differences[place] = np.nan
        with pytest.raises(ValueError, match="not a number"):
            stats.fair_bets(differences)


@pytest.mark.parametrize("persistence", [-0.4, 0.0, 0.6, 0.97, 0.999])
def test_lags_one_by_one_are_those_of_the_spectrum(monkeypatch, persistence):
    """The same time, however far the correlation reaches."""
    series = autoregressive(np.random.default_rng(3), 3000, persistence)
    nearby = stats.autocorrelation_time(series)
    monkeypatch.setattr(stats, "_SHORT_LAGS", 1)
    assert stats.autocorrelation_time(series) == pytest.approx(nearby, rel=1e-9)
    monkeypatch.setattr(stats, "_SHORT_LAGS", 3000)
    assert stats.autocorrelation_time(series) == pytest.approx(nearby, rel=1e-9)


def test_a_block_wraps_around():
    """Sums of three from each place on, by hand."""
    sums = stats._block_sums(np.array([1.0, 2.0, 4.0, 8.0]), 3, np.arange(4))
    assert sums.tolist() == [7, 14, 13, 11]


def test_dealing_in_pieces_is_dealing_at_once(monkeypatch):
    """The same random numbers, so the same chance."""
    random = np.random.default_rng(5)
    sums, inside = random.integers(0, 9, 90).astype(float), np.arange(90) < 30
    at_once = stats.block_permutation(sums, np.full(90, 9.0), inside, draws=500)
    monkeypatch.setattr(stats, "_NUMBERS_TOGETHER", 7 * 90)
    assert stats.block_permutation(sums, np.full(90, 9.0), inside, draws=500) == at_once


@pytest.mark.parametrize("share", [0.5, 0.01, 0.0001])
def test_a_step_is_found_among_any_number_of_blocks(monkeypatch, share):
    """Neighbours of a side stand together, and where one side has few the other is thinned out."""
    monkeypatch.setattr(stats, "MAX_BLOCKS", 100)
    monkeypatch.setattr(stats, "MIN_BLOCKS", 10)
    n = 40_000
    random, inside = np.random.default_rng(1), np.arange(n) % round(1 / share) == 0
    counts, false_alarms = np.full(n, 50.0), 0
    for seed in range(40):
        sums = np.random.default_rng(seed).binomial(50, 0.5, n).astype(float)
        found = stats.block_permutation(sums, counts, inside, draws=200)
        false_alarms += found <= 0.05
    assert false_alarms <= 7  # 5% and three standard deviations
    sums = random.binomial(50, np.where(inside, 0.9, 0.3)).astype(float)
    thinned, _, side = stats._thin_blocks(sums, counts, inside)
    assert 4 <= len(thinned) <= 2 * 100
    assert 0 < side.sum() < len(side)
    assert stats.block_permutation(sums, counts, inside) < 0.001


@pytest.mark.parametrize(
    ("low", "high", "spread", "told"),
    [
        (1.0, 4.0, 0.0, (1.0, 4.0)),
        (0.0, 4.0, 0.1, (0.0, math.inf)),
        (1.0, 4.0, 1e13, (0.0, math.inf)),
        (math.nan, math.nan, 0.1, (0.0, math.inf)),
    ],
)
def test_an_interval_is_widened_or_gives_up(low, high, spread, told):
    """Where nothing bounds a ratio its interval is the half-line; no number overflows."""
    found = stats.widen(stats.Estimate(2.0, low, high, 9), spread)
    assert (found.low, found.high) == pytest.approx(told)
    assert found.value == 2.0


def test_a_ratio_below_which_hardly_anything_lies_has_no_interval():
    """Draws that all miss the one denominator there is give no quantile."""
    bottoms = np.zeros(5)
    assert math.isnan(stats.ratio(np.ones(5), bottoms).value)
    assert stats.ratio(np.ones(5), np.array([-1.0, 0, 0, 0, 0])).n == 5
