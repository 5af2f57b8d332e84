"""What the target made of known text: perplexity, by depth, and beside another run's.

Perplexity is exp of the mean negative log-likelihood a token, in nats. Neighbouring tokens are
likely or unlikely together, so every interval comes from a block bootstrap over tokens, and two
runs over one text are compared token by token: what the text itself does then cancels.
"""

import math
from dataclasses import dataclass

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.stats import Estimate, ratio
from specprof.analysis.tables import Floats

FIRST = 128
"""Where the first bucket of depth ends; each further one ends twice as deep."""
MOST_NATS = 100.0
"""A token in the mean, at the interval's upper end; beyond, the exponential is no figure to read: a
guess among all ids there can be is 22."""


@dataclass(frozen=True, slots=True)
class DepthPerplexity:
    """Perplexity of the tokens scored between two depths."""

    low: int
    high: int
    """Exclusive."""
    perplexity: Estimate


def perplexity(columns: Columns) -> Estimate | None:
    """Return the perplexity of all scored tokens, `n` of them.

    None where none was scored, or where it is beyond all measure (`MOST_NATS`).
    """
    return _perplexity(columns.scored.nll)


def by_depth(columns: Columns) -> list[DepthPerplexity]:
    """Return perplexity by depth in the text, each bucket twice as deep as the one before."""
    depth, nll, found = columns.scored.context, columns.scored.nll, list[DepthPerplexity]()
    low, high = 0, FIRST
    while len(depth) and low <= depth.max():
        here = _perplexity(nll[(depth >= low) & (depth < high)])
        if here is not None:
            found.append(DepthPerplexity(low, high, here))
        low, high = high, 2 * high
    return found


def log_ratio(columns: Columns, other: Columns) -> Estimate | None:
    """Return the mean of this run's nats a token less the other's, over tokens both scored.

    Its exponential is this run's perplexity over the other's. None where the two did not score the
    same text with the same target, or no token in common.
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
    if mean is None or max(mean.value, mean.high) > MOST_NATS:
        return None
    value, low, high = (math.exp(each) for each in (mean.value, mean.low, mean.high))
    return Estimate(value, low, high, mean.n)


def _mean(values: Floats) -> Estimate | None:
    return ratio(values, np.ones_like(values)) if len(values) else None
