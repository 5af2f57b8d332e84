"""What a draft was owed over known text, and how that moved between two runs over the same text.

Knows places of text and their numbers; which change moved them, it does not. Nothing was drawn, so
a difference of two runs at one place is exact, and an interval is about other texts only.
"""

import math

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.stats import Estimate, ratio
from specprof.analysis.tables import OverlapPlaces
from specprof.errors import MissingEvidence

FEWEST = 40
"""Fewer places than this say little of a text."""


def owed(columns: Columns, low: int = 0, high: float = math.inf) -> Estimate:
    """Return the mean overlap per place of text whose context is in [low, high)."""
    places = _inside(columns, low, high)
    return ratio(places.overlap, np.ones(len(places)))


def agreed(columns: Columns) -> Estimate:
    """Return the share of places where both models' first choices are the same token."""
    places = _inside(columns, 0, math.inf)
    return ratio(places.agree.astype(np.float64), np.ones(len(places)))


def gained(other: Columns, base: Columns, low: int = 0, high: float = math.inf) -> Estimate:
    """Return the mean overlap `other` has over `base`, place by place of the text both read."""
    theirs, ours = _both(other, base, low, high)
    return ratio(theirs.overlap - ours.overlap, np.ones(len(ours)))


def moved(other: Columns, base: Columns) -> float:
    """Return how much the nats of the text's own tokens differ, in the mean of absolute values.

    Over both models, place by place of the text both runs read.
    """
    theirs, ours = _both(other, base, 0, math.inf)
    target = np.abs(theirs.target_nll - ours.target_nll).mean()
    return float(max(target, np.abs(theirs.draft_nll - ours.draft_nll).mean()))


def deepest(columns: Columns) -> int:
    """Return the longest context any place was judged at."""
    return int(columns.overlaps.context.max(initial=0))


def _both(
    other: Columns, base: Columns, low: int, high: float
) -> tuple[OverlapPlaces, OverlapPlaces]:
    """Return the places both read, in the same order."""
    theirs, ours = (_inside(each, low, high) for each in (other, base))
    shared = np.intersect1d(theirs.context, ours.context)
    if len(shared) < FEWEST:
        raise _too_few(len(shared), low)
    return tuple(each.where(np.isin(each.context, shared)) for each in (theirs, ours))  # type: ignore[return-value]


def _inside(columns: Columns, low: int, high: float) -> OverlapPlaces:
    places = columns.overlaps
    found = places.where((places.context >= low) & (places.context < high))
    if len(found) < FEWEST:
        raise _too_few(len(found), low)
    return found


def _too_few(count: int, low: int) -> MissingEvidence:
    title = f"both models read {count} places of text from context {low:,} on"
    return MissingEvidence(title, f"record the workload `overlap` over {FEWEST} or more")
