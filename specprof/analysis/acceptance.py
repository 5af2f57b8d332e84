"""How many drafted tokens were accepted: by draft index, by context, over the run.

Every rate here carries its denominator's name (theory 1.1) and an interval. A tree is judged level
by level: a level is reached if one of its tokens was reached, and passed if one was accepted. In a
chain every token is a level. Says what acceptance was, not why. Works on columns, live or whole. A
rate that can't be computed is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.stats import (
    Estimate,
    block_length,
    block_permutation,
    proportion,
    ratio,
)
from specprof.analysis.tables import Floats, Ints, Rounds


@dataclass(frozen=True, slots=True)
class Rates:
    """The run's headline rates; None where the denominator is 0."""

    accept_frac: Estimate | None
    """accepted / drafted tokens. Low by design in a tree: at most one sibling is accepted."""
    alpha_cond: Estimate | None
    """accepted / reached levels: the maximum-likelihood alpha if all indices have one alpha (theory
    I6)."""
    accepted_per_reached_token: Estimate | None
    """accepted / reached tokens: equal to `alpha_cond` in a chain; in a tree the rate per node."""
    tau: Estimate | None
    """emitted / rounds, the correction or bonus token included."""
    tokens_per_target_forward: Estimate | None
    """emitted / target forwards."""


@dataclass(frozen=True, slots=True)
class IndexRate:
    """Acceptance at one draft index, a level in a tree."""

    index: int
    """From 0."""
    drafted: int
    """Rounds that drafted this index: the denominator of S_i."""
    reached: int
    """Rounds that evaluated a token at this index: e_i, the denominator of c_i."""
    accepted: int
    conditional: Estimate | None
    """c_i = accepted / reached."""
    survival: Estimate
    """S_i = accepted / rounds that drafted this index."""


@dataclass(frozen=True, slots=True)
class ContextRate:
    """Acceptance of the reached levels between two context lengths."""

    low: int
    high: int
    """Exclusive."""
    alpha_cond: Estimate
    """accepted / reached levels; `n` is the number of reached levels."""
    overlap: float | None
    """Mean acceptance owed before the draw, per level; None where no probability was recorded."""


@dataclass(frozen=True, slots=True)
class Step:
    """Acceptance on both sides of a context length."""

    context: int
    before: Estimate
    beyond: Estimate
    p_value: float
    """One-sided, by block permutation: whether acceptance is lower beyond."""


def rates(columns: Columns) -> Rates:
    """Return the headline rates with 95% block-bootstrap intervals over rounds."""
    rounds = columns.rounds_by_burst()
    alpha, tau = alpha_cond(columns), _ratio_of_counts(rounds.emitted, np.ones_like(rounds.emitted))
    chains, once = not columns.trees, bool((rounds.target_forwards == 1).all())
    return Rates(
        accept_frac=_ratio_of_counts(rounds.accepted, rounds.drafted),
        alpha_cond=alpha,
        accepted_per_reached_token=alpha
        if chains
        else _ratio_of_counts(rounds.accepted, rounds.reached),
        tau=tau,
        tokens_per_target_forward=tau
        if once
        else _ratio_of_counts(rounds.emitted, rounds.target_forwards),
    )


def alpha_cond(columns: Columns) -> Estimate | None:
    """Return accepted / reached levels, as in `rates`."""
    rounds = columns.rounds_by_burst()
    return _ratio_of_counts(rounds.accepted, rounds.reached_levels)


def _ratio_of_counts(numerator: Ints, denominator: Ints) -> Estimate | None:
    if not denominator.any():
        return None
    return ratio(numerator.astype(float), denominator.astype(float))


def index_profile(columns: Columns) -> list[IndexRate]:
    """Return c_i and S_i for every draft index, with honest denominators under variable K.

    Intervals of c_i: Wilson, or exact where counts are small. Of S_i: block bootstrap over the
    rounds that drafted index i.
    """
    rounds, levels = columns.rounds_by_burst(), columns.places.levels()
    depth = int(rounds.levels.max(initial=0))
    passed = levels.index[levels.accepted]
    all_reached, all_accepted = (np.bincount(at, minlength=depth) for at in (levels.index, passed))
    deep, profile = rounds, []
    for index in range(depth):
        deep = deep.where(deep.levels > index)  # keep only the rounds that are this deep
        reached, accepted = int(all_reached[index]), int(all_accepted[index])
        stood = (deep.accepted > index).astype(float)
        rate = IndexRate(
            index=index,
            drafted=len(deep),
            reached=reached,
            accepted=accepted,
            conditional=proportion(accepted, reached) if reached else None,
            survival=ratio(stood, np.ones_like(stood)),
        )
        profile.append(rate)
    return profile


def context_edges(columns: Columns, buckets: int = 12) -> list[int]:
    """Return the edges of about `buckets` equal context ranges that cover every round.

    Their width is 1, 2 or 5 times a power of ten.
    """
    context = columns.rounds.context
    if not len(context):
        return []
    low, high = int(context.min()), int(context.max()) + int(columns.rounds.levels.max()) + 1
    step = _round_width((high - low) / buckets)
    first = low // step * step
    return list(range(first, high + step, step))


def log2_edges(columns: Columns) -> list[int]:
    """Return powers of two that cover every round's context."""
    context = columns.rounds.context
    if not len(context):
        return []
    low = max(int(context.min()), 1).bit_length() - 1
    high = (int(context.max()) + int(columns.rounds.levels.max())).bit_length()
    return [0 if power == 0 else 1 << power for power in range(low, high + 1)]


def by_context(columns: Columns, edges: Sequence[int]) -> list[ContextRate]:
    """Return acceptance between every two edges that have reached levels, shallow first."""
    places, rates_ = columns.levels_by_burst(), []
    for low, high in pairwise(edges):
        inside = (places.context >= low) & (places.context < high)
        if not inside.any():
            continue
        overlap = places.overlap[inside]
        accepted = places.accepted[inside].astype(float)
        rate = ContextRate(
            low=low,
            high=high,
            alpha_cond=place_share(accepted),
            overlap=None if np.isnan(overlap).all() else float(np.nanmean(overlap)),
        )
        rates_.append(rate)
    return rates_


def place_share(values: Floats) -> Estimate:
    """Return the mean over places in order, [places], with a block-bootstrap interval.

    A bootstrap fails where values are few or all alike: then the interval is the exact binomial's.
    """
    few = len(values) < 40 or values.min() == values.max()  # noqa: PLR2004 - theory 3.6
    if few and set(np.unique(values)) <= {0.0, 1.0}:
        return proportion(int(values.sum()), len(values))
    return ratio(values, np.ones_like(values))


def step_at(columns: Columns, context: int) -> Step | None:
    """Compare acceptance below a context length with acceptance beyond it (theory 7.3).

    The p-value permutes blocks of neighbouring rounds: rounds of one text resemble each other, so
    single rounds are not exchangeable. None where one side has fewer than 100 reached levels.
    """
    rounds = columns.rounds_by_burst()
    blocks = _blocks(rounds)
    reached, accepted = (
        np.asarray(np.bincount(blocks, weights=counts), np.float64)
        for counts in (rounds.reached_levels, rounds.accepted)
    )
    before = np.bincount(blocks, weights=rounds.context) / np.bincount(blocks) < context
    sides = [(accepted[side].sum(), reached[side].sum()) for side in (before, ~before)]
    if min(n for _, n in sides) < 100:  # noqa: PLR2004 - less can't show a step
        return None
    row_before = before[blocks]
    near, far = (
        ratio(rounds.accepted[side].astype(float), rounds.reached_levels[side].astype(float))
        for side in (row_before, ~row_before)
    )
    return Step(context, near, far, block_permutation(accepted, reached, before))


def knee(columns: Columns) -> int | None:
    """Return the context length that best splits acceptance into two Bernoulli rates.

    The likelihood ratio gives its place; `step_at` tests whether there is a step. None where fewer
    than 200 levels were reached.
    """
    places = columns.places.levels()
    n = len(places)
    if n < 200:  # noqa: PLR2004 - as above
        return None
    order = np.argsort(places.context, kind="stable")
    total = np.cumsum(places.accepted[order])
    cut = np.arange(n // 20, n - n // 20)
    left, right = total[cut] / (cut + 1), (total[-1] - total[cut]) / (n - cut - 1)
    gain = -(cut + 1) * _entropy(left) - (n - cut - 1) * _entropy(right)
    return int(places.context[order][cut[int(gain.argmax())]])


def _entropy(share: Floats) -> Floats:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(-inside * np.log(inside) - (1 - inside) * np.log1p(-inside))


def _blocks(rounds: Rounds) -> Ints:
    """Return each round's block, [rounds]: within a burst, `block_length` rounds or more."""
    rejected = (rounds.reached_levels - rounds.accepted).astype(float)
    length = max(block_length(rejected), math.ceil(len(rounds) / 1000))
    new = np.concatenate([[True], rounds.burst[1:] != rounds.burst[:-1]])
    starts = np.flatnonzero(new)
    place = np.arange(len(rounds)) - starts[np.cumsum(new) - 1]
    return np.cumsum(new | (place % length == 0)) - 1


def _round_width(width: float) -> int:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(width, 1)))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= width))
