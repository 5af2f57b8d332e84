"""Overlap of draft and target over known text, and how it changed between two runs over one text.

Knows places of text and their numbers, not which change of settings moved them. Nothing was drawn,
so the difference of two runs at one place is exact. An interval only says how other texts may
differ.
"""

import math

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.stats import Estimate, ratio
from specprof.analysis.tables import OverlapPlaces
from specprof.errors import MissingEvidence

MIN_PLACES = 40
"""Fewer places say little about a text."""


def mean_overlap(columns: Columns, low: int = 0, high: float = math.inf) -> Estimate:
    """Return the mean overlap per place of text whose context is in [low, high)."""
    places = _places_between(columns, low, high)
    return ratio(places.overlap, np.ones(len(places)))


def agreement_rate(columns: Columns) -> Estimate:
    """Return the share of places where both models' first choices are one token."""
    places = _places_between(columns, 0, math.inf)
    return ratio(places.agree.astype(np.float64), np.ones(len(places)))


def overlap_gain(other: Columns, base: Columns, low: int = 0, high: float = math.inf) -> Estimate:
    """Return the mean overlap of `other` less that of `base`, over the places that both read."""
    theirs, ours = _shared_places(other, base, low, high)
    return ratio(theirs.overlap - ours.overlap, np.ones(len(ours)))


def nll_shift(other: Columns, base: Columns) -> float:
    """Return the mean absolute difference of the text tokens' nats between two runs.

    The larger of the target's and the draft's difference, over the places that both runs read.
    """
    theirs, ours = _shared_places(other, base, 0, math.inf)
    target = np.abs(theirs.target_nll - ours.target_nll).mean()
    return float(max(target, np.abs(theirs.draft_nll - ours.draft_nll).mean()))


def longest_context(columns: Columns) -> int:
    """Return the longest context at which a place was judged; 0 where there is none."""
    return int(columns.overlaps.context.max(initial=0))


def _shared_places(
    other: Columns, base: Columns, low: int, high: float
) -> tuple[OverlapPlaces, OverlapPlaces]:
    """Return the places that both runs read, each in order of context."""
    theirs, ours = (_places_between(each, low, high) for each in (other, base))
    shared = np.intersect1d(theirs.context, ours.context)
    if len(shared) < MIN_PLACES:
        raise _too_few(len(shared), low)
    return tuple(each.where(np.isin(each.context, shared)) for each in (theirs, ours))  # type: ignore[return-value]


def _places_between(columns: Columns, low: int, high: float) -> OverlapPlaces:
    places = columns.overlaps
    found = places.where((places.context >= low) & (places.context < high))
    if len(found) < MIN_PLACES:
        raise _too_few(len(found), low)
    return found


def _too_few(count: int, low: int) -> MissingEvidence:
    title = f"both models read {count} places of text from context {low:,} on"
    return MissingEvidence(title, f"record the workload `overlap` over {MIN_PLACES} or more")
