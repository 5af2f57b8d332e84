"""Intervals and tests over plain arrays: nothing here knows what a round or a draft is.

A rate in one bucket gets a binomial interval. A ratio over rounds gets a block bootstrap, because
rounds of one text resemble their neighbours. The question "is this coin fair?" gets an e-process,
whose result stays valid however often it is read (theory.md section 3; Ramdas et al., arXiv
2210.01948). Every bootstrap and permutation has a fixed seed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TILTS = (0.1, 0.2, 0.35, 0.6, 1.0, 1.5)
"""Log-odds that are added to the null's for the Bernoulli alternatives, with either sign."""
LOG_ODDS_FACTORS = (0.5, 2.0)
"""Factors on the log-odds, for alternatives in which the coin is more or less random."""
BETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
"""Shares of the capital that the betting alternatives stake, on either side."""
SLOPES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Slopes, per unit, of the alternatives to a sum of known variance, with either sign."""
TAILS = (0.9, 0.97, 0.99, 0.997)
"""Bounds in the unit interval that a uniform number should seldom exceed."""
MIXTURES = (0.05, 0.2, 0.5, 0.9)
"""Shares of tokens that may come from another law."""
STAKES = (0.01, 0.05, 0.2, 0.5)
"""Shares of the capital that are staked on an event that should be rare."""
LIMIT_ERROR_RATE = 1.5e-4
"""Error rate that `Trial.detectable` is stated for. No trial runs at a smaller error rate: 1% is
divided among eight tests of up to eight trials each."""
NINE_IN_TEN_DEVIATIONS = 1.2816
"""The 90% quantile of the standard normal law."""
_MIN_PROBABILITY = 1e-6
_MAX_LOG_WIDTH = 300.0
"""An interval from exp(-width) to exp(width) with a larger width says nothing."""
MAX_BLOCKS, MIN_BLOCKS = 2000, 50
"""The most blocks that a permutation uses, and the fewest it keeps of a side that has as many."""
_OBSERVATIONS_TOGETHER = 1 << 15
"""Observations whose bets are in memory at once. The bets of a million would take gigabytes."""
_NUMBERS_TOGETHER = 1 << 20
"""Random numbers that are in memory at once while blocks are permuted."""
_SHORT_LAGS = 32
"""Lags whose correlations are summed one by one. Longer lags use the spectrum."""
_Bets = Callable[[slice], Floats]
"""From a piece of the observations to the logarithm of the factor by which each alternative's
capital grows at each observation, [alternatives, piece]."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, its interval and its number of observations."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Trial:
    """An e-process over martingale differences, in the order in which they were made."""

    n: int
    mean: float
    """The mean difference; its expectation is 0 where all is fair."""
    log_evidence: float
    """The largest log e-value that was reached."""
    ended: int
    """Number of observations until it was reached."""
    detectable: float
    """The mean difference that nine of ten runs of `n` observations find at `LIMIT_ERROR_RATE`."""

    @property
    def p_value(self) -> float:
        """Valid at any time (Ville): P(p <= a) <= a, however often it is read."""
        return math.exp(-max(self.log_evidence, 0.0))


def wilson(hits: int, n: int, level: float = 0.95) -> Estimate:
    """Return a share with its Wilson score interval; `n` must be positive."""
    z = float(special.ndtri(0.5 + level / 2))
    share, spread = hits / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return Estimate(share, max(centre - half, 0.0), min(centre + half, 1.0), n)


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> Estimate:
    """Return a share with its exact interval: never too short, often too long."""
    tail = (1 - level) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Estimate(hits / n, low, high, n)


def proportion(hits: int, n: int, level: float = 0.95) -> Estimate:
    """Return a share with an exact interval where events are few or all alike, else Wilson's."""
    exact = n < 40 or hits in (0, n)  # noqa: PLR2004 - theory 3.6
    return (clopper_pearson if exact else wilson)(hits, n, level)


def binomial_excess(hits: int, n: int, tolerated: float) -> float:
    """Return P(at least `hits` of `n` events) where each event has probability `tolerated`."""
    return float(special.betainc(hits, n - hits + 1, tolerated)) if hits else 1.0


def autocorrelation_time(series: Floats) -> float:
    """Return 1 + 2 * sum of autocorrelations up to the lag where noise dominates (Sokal)."""
    n = len(series)
    centred = series - series.mean() if n else series
    power = _product(centred, centred)
    if n < 4 or power <= n * 1e-24:  # noqa: PLR2004 - nothing to correlate
        return 1.0
    time = 1.0
    for lag in range(1, min(_SHORT_LAGS, n // 2)):
        time += 2 * _product(centred[lag:], centred[:-lag]) / power
        if lag >= 5 * time:
            return max(time, 1.0)
    for lags in (n // 64, n // 2):  # fewer lags need a smaller spectrum
        size = _fast_size(n + lags)
        spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
        times = 2 * np.cumsum(np.fft.irfft(spectrum, size)[:lags] / power) - 1
        inside = np.arange(lags) >= 5 * times
        if inside.any():
            break
    return float(max(times[int(inside.argmax()) if inside.any() else -1], 1.0))


def _product(one: Floats, other: Floats) -> float:
    """Return the sum of products without BLAS, whose threads wait longer than one sum takes."""
    return float(np.einsum("i,i", one, other))


def _fast_size(least: int) -> int:
    """Return a size of at least `least` that has only small factors: its transform is fast."""
    return min(odd << (-(-least // odd) - 1).bit_length() for odd in (1, 3, 5, 9, 15, 25))


def block_length(series: Floats) -> int:
    """Return a bootstrap block's length: three autocorrelation times, at most n / 8."""
    wanted = math.ceil(3 * autocorrelation_time(series))
    return int(min(max(wanted, 1), max(len(series) // 8, 1)))


def ratio(
    numerators: Floats, denominators: Floats, *, level: float = 0.95, draws: int = 400
) -> Estimate:
    """Return sum(numerators) / sum(denominators) over rounds, [rounds] each.

    Interval: circular block bootstrap over rounds, basic percentile, seed fixed. `n` is the number
    of rounds. A denominator that sums to 0 gives nan.
    """
    n, below = len(numerators), float(denominators.sum())
    if n == 0 or below == 0:
        return Estimate(math.nan, math.nan, math.nan, n)
    value = float(numerators.sum()) / below
    # At most a thousand blocks: longer blocks are no less valid, and cheaper.
    block = max(block_length(numerators - value * denominators), -(-n // 1000))
    starts = np.random.default_rng(0).integers(0, n, (draws, -(-n // block)))
    tops, bottoms = (
        _block_sums(series, block, starts).sum(1) for series in (numerators, denominators)
    )
    values = tops[bottoms > 0] / bottoms[bottoms > 0]
    if not len(values):
        return Estimate(value, math.nan, math.nan, n)
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high), n)


def widen(gain: Estimate, spread: float) -> Estimate:
    """Return a ratio whose interval also covers a further relative spread.

    Where the ratio's low end is not known to be above 0, the interval is [0, inf].
    """
    half = math.log(gain.high / gain.low) / 2 if gain.low > 0 else math.inf
    logs = math.hypot(half, spread)
    if logs > _MAX_LOG_WIDTH or math.isnan(logs):
        return Estimate(gain.value, 0.0, math.inf, gain.n)
    times = math.exp(logs)
    return Estimate(gain.value, gain.value / times, gain.value * times, gain.n)


def _block_sums(series: Floats, block: int, starts: Ints) -> Floats:
    """Return the sums of `block` values from each start on, wrapping around; as `starts`."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    ends, n = starts + block, len(series)
    around = ends > n
    sums = total[np.minimum(ends, n)]
    sums[around] += total[ends[around] - n]
    return np.asarray(sums - total[starts])


def fair_coins(owed: Floats, came: Floats) -> Trial:
    """Test that each event came with the probability owed, in the order of the events; [n] each.

    The alternatives are a mixture of Bernoulli laws whose log-odds are shifted (theory 3.2) or
    scaled: an outcome that follows the odds too closely was not drawn afresh. Probabilities are
    clipped to [1e-6, 1 - 1e-6]: leave certain events out and check them exactly.
    """
    fair, won = np.clip(owed, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY), came > 0
    tilts = np.array([*TILTS, *(-tilt for tilt in TILTS)])[:, None]
    factors = np.array(LOG_ODDS_FACTORS)[:, None]

    def bets(piece: slice) -> Floats:
        odds, chance, hit = special.logit(fair[piece]), fair[piece], won[piece]
        others = special.expit(np.concatenate([odds + tilts, odds * factors]))
        tilted = np.clip(others, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
        logs: Floats = np.empty_like(tilted)
        logs[:, hit] = np.log(tilted[:, hit] / chance[hit])
        logs[:, ~hit] = np.log1p(-tilted[:, ~hit]) - np.log1p(-chance[~hit])
        return logs

    variance = float((fair * (1 - fair)).mean()) if len(fair) else 0.0
    return _run_trial(bets, len(tilts) + len(factors), came - owed, variance)


def fair_bets(differences: Floats, *, both: bool = True) -> Trial:
    """Test that martingale differences in [-1, 1], in order, have mean 0; [n].

    Bets fixed shares of the capital on either side and averages the fortunes. Without `both` it
    tests that the mean is 0 or less at every place. It then bets on the upper side alone, because a
    bet on the lower side would win under that null.
    """
    inside = np.clip(differences, -1, 1)
    stakes = np.array([*BETS, *(-bet for bet in BETS if both)])[:, None]
    variance = float((inside**2).mean()) if len(inside) else 0.0
    return _run_trial(lambda piece: np.log1p(stakes * inside[piece]), len(stakes), inside, variance)


def fair_sums(differences: Floats, variances: Floats) -> Trial:
    """Test that martingale differences of known conditional variance have mean 0; [n] each.

    The differences need no bound: exp(x - x^2 / 6) <= 1 + x + x^2 / 3, so for any slope s the mean
    of the product of exp(s D - s^2 (D^2 + 2 V) / 6) does not grow (Delyon, Electronic Journal of
    Probability 14, 2009). Averages over slopes.
    """
    slopes = np.array([*SLOPES, *(-slope for slope in SLOPES)])[:, None]

    def bets(piece: slice) -> Floats:
        seen, expected = differences[piece], variances[piece]
        return slopes * seen - slopes**2 * (seen**2 + 2 * expected) / 6

    variance = float(variances.mean()) if len(variances) else 0.0
    return _run_trial(bets, len(slopes), differences, variance)


def fair_tails(places: Floats) -> Trial:
    """Test that numbers exceed each bound of `TAILS` no oftener than uniform numbers do; [n].

    Sees a few draws from the far end of a law, which hardly move the mean rank. The trial's
    differences are those of the first tail.
    """
    ends, stakes = np.array(TAILS)[:, None], np.array(STAKES)[:, None, None]
    won, lost = np.log1p(stakes * (1 / (1 - ends) - 1)), np.log1p(-stakes)

    def bets(piece: slice) -> Floats:
        beyond = places[piece] >= ends  # [tails, piece]
        return np.where(beyond, won, lost).reshape(len(STAKES) * len(TAILS), -1)

    share = 1 - TAILS[0]
    differences = np.asarray((places >= TAILS[0]) - share, np.float64)
    return _run_trial(bets, len(STAKES) * len(TAILS), differences, share * (1 - share))


def fair_draws(ratios: Floats) -> Trial:
    """Test that all tokens come from their declared law and none from another law, [n].

    `ratios` are each token's mass under the other law / its mass under the declared law. Over true
    draws their mean is at most 1. Averages over shares of the other law (theory 4.2 d). The trial's
    differences are the ratios less one.
    """
    shares, excess = np.array(MIXTURES)[:, None], ratios - 1
    return _run_trial(lambda piece: np.log1p(shares * excess[piece]), len(shares), excess, 1.0)


def rare_events(came: NDArray[np.bool_], tolerated: float) -> Trial:
    """Test that each event, in order, has at most the probability `tolerated`; [n].

    The probability may depend on earlier events. A share of the capital is staked on each event at
    odds that are fair for `tolerated`, so bets on rarer events lose.
    """
    stakes = np.array(STAKES)[:, None]
    won, lost = np.log1p(stakes * (1 / tolerated - 1)), np.log1p(-stakes)
    differences = np.asarray(came - tolerated, np.float64)
    variance = tolerated * (1 - tolerated)
    return _run_trial(
        lambda piece: np.where(came[piece], won, lost), len(stakes), differences, variance
    )


def _run_trial(bets: _Bets, alternatives: int, differences: Floats, variance: float) -> Trial:
    """Run a mixture of `alternatives` alternatives, piece by piece, over all differences."""
    n, mixed = len(differences), math.log(alternatives)
    if n == 0:
        return Trial(0, 0.0, 0.0, 0, math.inf)
    fortunes, highest, best, ended = np.zeros(alternatives), -math.inf, -math.inf, 0
    for start in range(0, n, _OBSERVATIONS_TOGETHER):
        logs = bets(slice(start, start + _OBSERVATIONS_TOGETHER))
        logs[:, 0] += fortunes
        paths = logs.cumsum(axis=1, out=logs)
        fortunes = paths[:, -1].copy()
        leader = paths.max(axis=0)  # the mixture lies between leader - mixed and leader
        highest = max(highest, float(leader.max()))
        near = np.flatnonzero((leader >= highest - mixed) & (leader > best))
        if len(near):
            mixture = special.logsumexp(paths[:, near], axis=0) - mixed
            first = int(mixture.argmax())
            if mixture[first] > best:
                best, ended = float(mixture[first]), start + int(near[first]) + 1
    if math.isnan(fortunes.sum()):
        raise ValueError("a difference to test is not a number (nan)")
    limit = _detectable(alternatives) * math.sqrt(variance / n)
    return Trial(n, float(differences.mean()), best, ended, limit)


def _detectable(alternatives: int) -> float:
    """Return the effect that nine of ten runs find, in standard errors.

    At an effect of u standard errors the best bet's log fortune ends at u^2 / 2, give or take u. A
    run finds it where the fortune reaches log(alternatives / `LIMIT_ERROR_RATE`): the mixture
    divides the best bet's fortune by the number of alternatives.
    """
    needed = math.log(alternatives / LIMIT_ERROR_RATE)
    return NINE_IN_TEN_DEVIATIONS + math.sqrt(NINE_IN_TEN_DEVIATIONS**2 + 2 * needed)


def block_permutation(
    sums: Floats, counts: Floats, inside: NDArray[np.bool_], *, draws: int = 4000
) -> float:
    """Return the p-value of mean(inside) > mean(outside) under random permutations of the blocks.

    `sums` and `counts` are per block, [blocks]; `inside` says which blocks were inside. The
    smallest possible p-value is 1 / (draws + 1). More than `MAX_BLOCKS` blocks are thinned first.
    """
    sums, counts, inside = _thin_blocks(sums, counts, inside)
    random, count, n = np.random.default_rng(0), int(inside.sum()), len(sums)
    whole = float(sums.sum()), float(counts.sum())
    seen = _contrast(sums[inside].sum(), counts[inside].sum(), *whole)
    at_once, reached = max(_NUMBERS_TOGETHER // n, 1), 0
    for done in range(0, draws, at_once):
        dealt = random.random((min(at_once, draws - done), n))
        picks = dealt.argpartition(count - 1, axis=1)[:, :count]
        tops, bottoms = sums[picks].sum(axis=1), counts[picks].sum(axis=1)
        reached += int((_contrast(tops, bottoms, *whole) >= seen - 1e-12).sum())
    return (1 + reached) / (draws + 1)


def _thin_blocks(
    sums: Floats, counts: Floats, inside: NDArray[np.bool_]
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return at most about `MAX_BLOCKS` blocks a side: neighbours of one side are put together.

    Both sides put the same number of blocks together, so that under the null a block may lie on
    either side. Where one side has few blocks, the other's are thinned out evenly instead.
    """
    if len(sums) <= MAX_BLOCKS:
        return sums, counts, inside
    sides = np.flatnonzero(inside), np.flatnonzero(~inside)
    fewest = min(len(rows) for rows in sides)
    size = max(min(-(-len(sums) // MAX_BLOCKS), fewest // MIN_BLOCKS), 1)
    groups = [rows[: len(rows) // size * size].reshape(-1, size) for rows in sides]
    kept = [each[:: max(-(-len(each) // MAX_BLOCKS), 1)] for each in groups]
    side = np.repeat([True, False], [len(each) for each in kept])
    rows = np.concatenate(kept)
    return sums[rows].sum(axis=1), counts[rows].sum(axis=1), side


def _contrast(tops: Floats, bottoms: Floats, top: float, bottom: float) -> Floats:
    return np.asarray(tops / bottoms - (top - tops) / (bottom - bottoms))
