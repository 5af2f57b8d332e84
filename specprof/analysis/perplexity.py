"""The target's perplexity over known text: in all, by depth, and beside another run's.

Perplexity is exp of the mean negative log-likelihood per token, in nats. Neighbouring tokens are
likely or unlikely together, so every interval comes from a block bootstrap over tokens. Two runs
over one text are compared token by token: the text's own difficulty cancels.
"""

import math
from dataclasses import dataclass

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.stats import Estimate, ratio
from specprof.analysis.tables import Floats

FIRST_EDGE = 128
"""Where the first bucket of depth ends. Each further bucket ends twice as deep."""
MAX_NATS = 100.0
"""Mean nats per token up to which a perplexity is shown. A uniform guess over the largest possible
vocabulary costs 22."""


@dataclass(frozen=True, slots=True)
class DepthPerplexity:
    """Perplexity of the tokens scored between two depths."""

    low: int
    high: int
    """Exclusive."""
    perplexity: Estimate


def perplexity(columns: Columns) -> Estimate | None:
    """Return the perplexity of all scored tokens; `n` is how many there are.

    None where no token was scored, or where the mean exceeds `MAX_NATS`.
    """
    return _perplexity(columns.scored.nll)


def by_depth(columns: Columns) -> list[DepthPerplexity]:
    """Return perplexity by depth in the text; each bucket ends twice as deep as the last."""
    depth, nll, found = columns.scored.context, columns.scored.nll, list[DepthPerplexity]()
    low, high = 0, FIRST_EDGE
    while len(depth) and low <= depth.max():
        here = _perplexity(nll[(depth >= low) & (depth < high)])
        if here is not None:
            found.append(DepthPerplexity(low, high, here))
        low, high = high, 2 * high
    return found


def log_ratio(columns: Columns, other: Columns) -> Estimate | None:
    """Return this run's mean nats per token less the other run's, over tokens that both scored.

    Its exponential is this run's perplexity / the other's. None where the runs scored different
    texts, used different targets, or have no token in common.
    """
    if columns.header is None or other.header is None or _text(columns) != _text(other):
        return None
    ours, theirs = columns.scored, other.scored
    _, mine, yours = np.intersect1d(ours.context, theirs.context, return_indices=True)
    return _mean(ours.nll[mine] - theirs.nll[yours])


def _text(columns: Columns) -> tuple[str | None, str] | None:
    header = columns.header
    return (header.text, header.spec.settings.target) if header else None


def _perplexity(nll: Floats) -> Estimate | None:
    mean = _mean(nll)
    if mean is None or max(mean.value, mean.high) > MAX_NATS:
        return None
    value, low, high = (math.exp(each) for each in (mean.value, mean.low, mean.high))
    return Estimate(value, low, high, mean.n)


def _mean(values: Floats) -> Estimate | None:
    return ratio(values, np.ones_like(values)) if len(values) else None
