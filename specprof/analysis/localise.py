"""Where a model's answers go astray, and after which events: contrasts that separate causes.

A wrong state is wrong at some places and right at others. Which places are wrong says more about
the cause than how wrong they are (theory 10.3). Every contrast compares places that differ in one
thing: the event before the round, the draft index, the depth, the rounds since the burst began, the
place in a tree. Knows places and rounds; names no bug.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from specprof.analysis import attribution, contrasts, onset
from specprof.analysis.attribution import Side
from specprof.analysis.contrasts import MIN_PLACES_ASTRAY, Wholes, is_side_clean
from specprof.analysis.evidence import Evidence
from specprof.analysis.onset import MAX_CLEAN_RATIO, Onset
from specprof.analysis.outcomes import EVENTS_BEFORE
from specprof.analysis.tables import Bools, Floats, Ints
from specprof.findings import Where

_MAX_INT = np.iinfo(np.int64).max
"""Larger than every context."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a model's astray places are spread among its clean places."""

    where: Where
    """The first astray place; `used` and `clean` are the drafted token's probability."""
    first_gap: float
    share: float
    """Astray places / rechecked places."""
    size: float
    """Median gap of the astray places."""
    onset: Onset
    lasts: bool
    """Whether later rounds stay astray after an event other than the onset."""
    throughout: bool
    """Nearly every place of nearly every burst is astray, from the first round on."""
    start_only: bool
    """Bursts' first rounds are astray, and later rounds are clean."""
    wholes: Wholes | None
    """The requests or sequences that are astray as a whole; None where none are, or all are."""
    only_index: int | None
    """The one draft index that is astray; None where several are."""
    last_row_only: bool
    """Only the row after the last draft is astray."""
    at_wraps: bool
    """Only places right behind a window's end are astray."""
    batch: tuple[Literal["least", "most"], int] | None
    """How many sequences are decoded together, at least or at most, where places are astray."""
    later_only: bool
    """Draft index 0 (the verify pass' first row) is clean, and later indices are not."""
    begins_later: bool
    """In the first round of bursts, index 0 is clean and later indices are not. What that round
    left in the cache may lead index 0 astray later on."""
    one_sequence_clean: bool
    """In a batch, at least one sequence is clean."""
    branched_only: bool
    """In the first round of bursts, only answers after branched tree nodes are astray. Before such
    a node the list holds nodes of other branches. What that round left in the cache may lead any
    answer astray later on."""
    uneven_only: bool
    """Rounds are astray only after two rounds that accepted different numbers of tokens."""
    from_second: bool
    """Each sequence's first burst is clean, and its later bursts are astray from their first round
    on."""
    since: tuple[int, int] | None
    """The last clean context, and the context from which on places are astray; None where no
    context separates them."""
    clean_until: int | None
    """Context at which the deepest burst begins that is shallower than every astray burst."""
    astray_from: int
    """Context at which the shallowest astray burst begins."""
    builds_up: bool
    """The gap grows over a burst's rounds."""
    deepens: bool
    """The gap grows from shallow bursts to deep bursts."""


def localise(evidence: Evidence, side: Side) -> Pattern:
    """Return the pattern of a side that has astray places."""
    row = evidence.row(side.round)
    kind, context = evidence.after[row], evidence.rounds.context[row] + side.index
    wholes = contrasts.find_wholes(evidence, side)
    since = None if wholes else contrasts.split_by_context(side, context)
    deep = np.ones(len(side.round), np.bool_) if since is None else context >= since[1]
    begin, hazard = onset.find_onset(evidence, side, deep)
    first = _find_first_astray(side)
    clean_until, astray_from = _clean_and_astray_starts(evidence, side)
    often = hazard >= 0.5 and begin not in {"at once", ""}  # noqa: PLR2004 - oftener than not
    if often and onset.does_onset_explain(evidence, side, begin):
        since = None
    return Pattern(
        where=_where(evidence, side, first, begin),
        first_gap=float(side.gap[first]),
        share=float(side.astray.mean()),
        size=float(np.median(side.gap[side.astray])),
        onset=begin,
        lasts=onset.does_last(evidence, side, begin),
        throughout=contrasts.is_throughout(evidence, side),
        start_only=contrasts.is_start_only(evidence, side),
        wholes=wholes,
        only_index=contrasts.find_only_index(side),
        last_row_only=contrasts.is_last_row_only(evidence, side),
        at_wraps=contrasts.is_at_wraps(evidence, side),
        batch=contrasts.find_batch_size(evidence, side),
        later_only=is_side_clean(side.astray, side.index == 0, deep),
        begins_later=is_side_clean(side.astray, side.index == 0, kind == 0),
        one_sequence_clean=_is_one_sequence_clean(evidence, side),
        branched_only=evidence.columns.trees
        and is_side_clean(
            side.astray, attribution.answering_nodes(evidence, side) == side.index - 1, kind == 0
        ),
        uneven_only=contrasts.is_uneven_only(evidence, side, deep),
        from_second=contrasts.is_from_second(evidence, side),
        since=since,
        clean_until=clean_until,
        astray_from=astray_from,
        builds_up=_builds_up(evidence, side),
        deepens=_deepens(side, context),
    )


def _where(evidence: Evidence, side: Side, first: int, begin: Onset) -> Where:
    """Return the first astray place, with the event before it."""
    row = int(evidence.row(side.round[first : first + 1])[0])
    event = EVENTS_BEFORE[int(evidence.after[row])]
    if begin in onset.RARE and onset.event_masks(evidence)[begin][row]:
        event = f"after {onset.SAID[begin]}"
    used, clean = attribution.drafted_probs(evidence, side, first) or (None, None)
    index = int(side.index[first])
    return Where(
        round=int(side.round[first]),
        context=int(evidence.rounds.context[row]) + index,
        index=index,
        event=event,
        used=used,
        clean=clean,
    )


def _find_first_astray(side: Side) -> int:
    """Return the row of the astray place that came first."""
    rows = np.flatnonzero(side.astray)
    return int(rows[np.lexsort((side.index[rows], side.round[rows]))[0]])


def _is_one_sequence_clean(evidence: Evidence, side: Side) -> bool:
    _, sequence = np.unique(evidence.rounds.sequence[evidence.row(side.round)], return_inverse=True)
    astray = np.bincount(sequence, weights=side.astray)
    places = np.bincount(sequence)
    share = astray[places >= MIN_PLACES_ASTRAY] / places[places >= MIN_PLACES_ASTRAY]
    return len(share) > 1 and bool(share.min() <= MAX_CLEAN_RATIO * share.max())


def _clean_and_astray_starts(evidence: Evidence, side: Side) -> tuple[int | None, int]:
    """Return the contexts at which the deepest clean and the shallowest astray burst begin.

    A burst is astray if more than a tenth of its places are. Here the clean burst is the deepest
    one that begins before every astray burst.
    """
    rounds = evidence.rounds
    bursts, of = np.unique(rounds.burst[evidence.row(side.round)], return_inverse=True)
    starts, place = np.full(len(bursts), _MAX_INT), np.searchsorted(bursts, rounds.burst)
    known = bursts[place.clip(max=len(bursts) - 1)] == rounds.burst
    np.minimum.at(starts, place[known], rounds.context[known])
    astray = starts[np.bincount(of, weights=side.astray) / np.bincount(of) > MAX_CLEAN_RATIO]
    shallowest = int(astray.min(initial=starts.max()))
    below = starts[starts < shallowest]
    return int(below.max()) if len(below) else None, shallowest


def _builds_up(evidence: Evidence, side: Side) -> bool:
    """Whether gaps late in bursts are half as large again as gaps early in bursts."""
    played = _count_rounds_before(evidence)[evidence.row(side.round)]
    middle = float(np.median(played[played > 0])) if (played > 0).any() else 0.0
    early, late = (played > 0) & (played <= middle), played > middle
    return _has_gap_grown(side.gap, early, late, times=1.5)


def _deepens(side: Side, context: Ints) -> bool:
    """Whether astray gaps at deep contexts are half as large again as at shallow contexts."""
    middle = float(np.median(context[side.astray]))
    shallow = side.astray & (context <= middle)
    return _has_gap_grown(side.gap, shallow, side.astray & (context > middle), times=1.5)


def _has_gap_grown(gap: Floats, before: Bools, after: Bools, times: float) -> bool:
    if min(int(before.sum()), int(after.sum())) < MIN_PLACES_ASTRAY:
        return False
    return float(gap[after].mean()) >= times * float(gap[before].mean())


def _count_rounds_before(evidence: Evidence) -> Ints:
    """Return how many rounds of its burst came before each round, [rounds]."""
    order, burst = evidence.columns.burst_order, evidence.rounds.burst
    sorted_ = burst[order]
    starts = np.flatnonzero(np.append(True, sorted_[1:] != sorted_[:-1]))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    found = np.zeros(len(order), np.int64)
    found[order] = place
    return found
