"""Where a model's answers go astray, and after which events: contrasts that separate causes.

A wrong state is wrong at some places and right at others. Which places are wrong says more about
the cause than how wrong they are (theory 10.3). Every contrast compares places that differ in one
thing: the event before the round, the draft index, the depth, the rounds since the burst began, the
place in a tree. Knows places and rounds; names no bug.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.attribution import Side
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats, Ints
from specprof.findings import Where

Onset = Literal["at once", "rejection", "all-accepted", "any round", ""]
"""The event right before a burst's answers first go astray; empty: no single event."""
EVENTS_BEFORE = (
    "in a burst's first round",
    "after a rejection",
    "after an all-accepted round",
    "after a round that is missing",
)
MAX_CLEAN_RATIO = 0.1
"""A side of a contrast is clean where its share astray is at most this much of the other's."""
MIN_PLACES_ASTRAY = 8
"""Astray places that a clean side would have at the other side's share; fewer prove nothing."""
_KNOWN_EVENTS = range(3)
"""Indices of the `EVENTS_BEFORE` that are known: a missing round counts as no event."""
_MAX_INT = np.iinfo(np.int64).max
"""Larger than every round's index and every context."""


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
    since, second = _split_by_context(side, context), _is_from_second(evidence, side)
    deep = np.ones(len(side.round), np.bool_) if since is None else context >= since[1]
    onset, hazards = _onset(evidence, side, deep)
    first = _find_first_astray(side)
    clean_until, astray_from = _clean_and_astray_starts(evidence, side)
    used, clean = attribution.drafted_probs(evidence, side, first) or (None, None)
    where = Where(
        round=int(side.round[first]),
        context=int(context[first]),
        index=int(side.index[first]),
        event=EVENTS_BEFORE[int(kind[first])],
        used=used,
        clean=clean,
    )
    if max(hazards) >= 0.5 and onset not in {"at once", ""}:  # noqa: PLR2004 - oftener than not
        since = None if _does_onset_explain(evidence, side, onset) else since
    return Pattern(
        where=where,
        first_gap=float(side.gap[first]),
        share=float(side.astray.mean()),
        size=float(np.median(side.gap[side.astray])),
        onset=onset,
        lasts=_lasts(evidence, side, onset),
        later_only=_is_side_clean(side.astray, side.index == 0, deep),
        begins_later=_is_side_clean(side.astray, side.index == 0, kind == 0),
        one_sequence_clean=_is_one_sequence_clean(evidence, side),
        branched_only=evidence.columns.trees
        and _is_side_clean(
            side.astray, attribution.answering_nodes(evidence, side) == side.index - 1, kind == 0
        ),
        uneven_only=_is_uneven_only(evidence, side, deep),
        from_second=second,
        since=since,
        clean_until=clean_until,
        astray_from=astray_from,
        builds_up=_builds_up(evidence, side),
        deepens=_deepens(side, context),
    )


def _find_first_astray(side: Side) -> int:
    """Return the row of the astray place that came first."""
    rows = np.flatnonzero(side.astray)
    return int(rows[np.lexsort((side.index[rows], side.round[rows]))[0]])


def _is_side_clean(astray: Bools, one: Bools, among: Bools | None = None) -> bool:
    """Whether `one` side's places are clean and the other places' share would show, [n] each."""
    among = np.ones(len(astray), np.bool_) if among is None else among
    inside, outside = astray[one & among], astray[~one & among]
    if not len(inside) or not len(outside):
        return False
    due = float(outside.mean())
    return len(inside) * due >= MIN_PLACES_ASTRAY and bool(inside.mean() <= MAX_CLEAN_RATIO * due)


def _onset(evidence: Evidence, side: Side, deep: Bools) -> tuple[Onset, list[float]]:
    """Return the event after which bursts first go astray, and each event's hazard.

    A hazard is a share of the rounds after that event, up to and including their burst's first
    astray round: the share that is this first astray round. Counts only `deep` places, [n], where
    the fault is at work.
    """
    rounds, inverse = np.unique(side.round[deep], return_inverse=True)
    astray = np.bincount(inverse, weights=side.astray[deep]) > 0
    row = evidence.row(rounds)
    order = np.argsort(evidence.rounds.burst[row], kind="stable")
    burst, kind = evidence.rounds.burst[row][order], evidence.after[row][order]
    astray = astray[order]
    before: Ints = np.cumsum(astray) - astray
    begins = np.append(True, burst[1:] != burst[:-1])[: len(burst)]
    none_yet: Bools = before == np.maximum.accumulate(np.where(begins, before, 0))
    seen = np.bincount(kind[none_yet], minlength=len(EVENTS_BEFORE))
    hits = np.bincount(kind[none_yet & astray], minlength=len(EVENTS_BEFORE))
    hazards = [float(hits[each] / seen[each]) if seen[each] else 0.0 for each in _KNOWN_EVENTS]
    return _name_onset(hazards, hits[: len(hazards)]), hazards


def _name_onset(hazards: list[float], hits: Ints) -> Onset:
    start, rejection, accepted = hazards
    total = float(hits.sum())
    if hits[0] >= 0.5 * total and start >= 0.3:  # noqa: PLR2004 - most bursts, and not by chance
        return "at once"
    if hits[1] >= 0.8 * total and accepted <= rejection / 3:
        return "rejection"
    if rejection <= accepted / 3 and hits[2] >= 0.5 * total:
        return "all-accepted"
    return "any round" if start <= MAX_CLEAN_RATIO * max(rejection, accepted) else ""


def _does_onset_explain(evidence: Evidence, side: Side, onset: Onset) -> bool:
    """Whether the onset alone separates astray bursts from clean bursts, at any depth."""
    rounds, inverse = np.unique(side.round, return_inverse=True)
    astray = np.bincount(inverse, weights=side.astray) > 0
    row = evidence.row(rounds)
    burst, kind = evidence.rounds.burst[row], evidence.after[row]
    wanted = {"rejection": (1,), "all-accepted": (2,), "any round": (1, 2)}.get(onset, ())
    met = np.isin(kind, wanted)
    _, of = np.unique(burst, return_inverse=True)
    dirty = np.bincount(of, weights=astray) > 0
    exposed = int((met & ~dirty[of]).sum())
    return exposed <= MAX_CLEAN_RATIO * max(int(met.sum()), 1)


def _lasts(evidence: Evidence, side: Side, onset: Onset) -> bool:
    other = {"rejection": 2, "all-accepted": 1}.get(onset)
    if other is None:
        return True
    row = evidence.row(side.round)
    bursts, burst = np.unique(evidence.rounds.burst[row], return_inverse=True)
    begun = np.full(len(bursts), _MAX_INT)
    np.minimum.at(begun, burst[side.astray], side.round[side.astray])
    after = (side.round > begun[burst]) & (evidence.after[row] == other)
    return bool(after.any()) and bool(side.astray[after].mean() >= 0.5 * _share_after(side, begun))


def _share_after(side: Side, begun: Ints) -> float:
    return float(side.astray[side.round >= begun.min()].mean())


def _is_uneven_only(evidence: Evidence, side: Side, deep: Bools) -> bool:
    before = np.full(len(evidence.rounds), -1, np.int64)
    goes_on = evidence.next_row >= 0
    before[evidence.next_row[goes_on]] = np.flatnonzero(goes_on)
    last = before[evidence.row(side.round)]
    known = (last >= 0) & (before[last] >= 0)
    accepted = evidence.rounds.accepted
    alike = accepted[last] == accepted[before[last]]
    return _is_side_clean(side.astray, alike, known & deep)


def _is_one_sequence_clean(evidence: Evidence, side: Side) -> bool:
    _, sequence = np.unique(evidence.rounds.sequence[evidence.row(side.round)], return_inverse=True)
    astray = np.bincount(sequence, weights=side.astray)
    places = np.bincount(sequence)
    share = astray[places >= MIN_PLACES_ASTRAY] / places[places >= MIN_PLACES_ASTRAY]
    return len(share) > 1 and bool(share.min() <= MAX_CLEAN_RATIO * share.max())


def _is_from_second(evidence: Evidence, side: Side) -> bool:
    """Whether each sequence's first burst is clean and its later bursts begin astray."""
    row = evidence.row(side.round)
    burst = evidence.rounds.burst[row]
    sequences, sequence = np.unique(evidence.rounds.sequence[row], return_inverse=True)
    earliest = np.full(len(sequences), _MAX_INT)
    np.minimum.at(earliest, sequence, burst)
    first = burst == earliest[sequence]
    begins = ~first & (evidence.after[row] == 0)
    if not begins.any() or not first.any():
        return False
    share = float(side.astray[begins].mean())
    return share >= 0.5 and bool(side.astray[first].mean() <= MAX_CLEAN_RATIO * share)  # noqa: PLR2004


def _split_by_context(side: Side, context: Ints) -> tuple[int, int] | None:
    """Return the two contexts between which places begin to go astray: the likeliest split."""
    order = np.argsort(context, kind="stable")
    context, astray = context[order], side.astray[order]
    below, n = np.arange(1, len(order)), len(order)
    split = context[1:] > context[:-1]
    if not split.any():
        return None
    hits = np.cumsum(astray)
    near, far = hits[:-1] / below, (hits[-1] - hits[:-1]) / (n - below)
    gain = np.where(split, -below * _entropy(near) - (n - below) * _entropy(far), -np.inf)
    cut = int(gain.argmax())
    if near[cut] > MAX_CLEAN_RATIO / 2 * far[cut] or (cut + 1) * far[cut] < MIN_PLACES_ASTRAY:
        return None
    start = cut + 1 + int(astray[cut + 1 :].argmax())
    return int(context[start - 1]), int(context[start])


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


def _entropy(share: Floats) -> Floats:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(-inside * np.log(inside) - (1 - inside) * np.log1p(-inside))


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
