"""Where a model's answers go astray, and after what: contrasts that tell one cause from another.

A wrong state is wrong at some places and right at others, and which are which says more of the
cause than how wrong they are (theory 10.3). Every contrast holds places that differ in one thing
against each other: what came before the round, the draft index, the depth, the rounds played since
the burst began, the place in a tree. Knows places and rounds; names no bug.
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
"""What comes right before a burst's answers first go astray; empty: now this, now that."""
AFTER = (
    "in a burst's first round",
    "after a rejection",
    "after an all-accepted round",
    "after a round that is missing",
)
CLEAN = 0.1
"""A side of a contrast is clean where its share astray is at most this much of the other's."""
FEW = 8
"""Places astray that a clean side must have been due, by the other's share."""
_KINDS = range(3)
"""What may have come before a round; nothing is said of those whose last one is missing."""
_BEYOND = np.iinfo(np.int64).max
"""Beyond every round and context."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a model's astray places lie among those that are not."""

    where: Where
    """The first of them; `used` and `clean` are the drafted token's probability."""
    first_gap: float
    share: float
    """Astray per rechecked place."""
    size: float
    """Median gap of the astray places."""
    onset: Onset
    lasts: bool
    """Whether rounds go on astray that come after another outcome than the onset's."""
    later_only: bool
    """Draft index 0, or the verify pass's first row, is clean, and those after it aren't."""
    begins_later: bool
    """So it is as bursts begin; what it left in the cache may lead index 0 astray afterwards."""
    one_sequence_clean: bool
    """In a batch, one sequence at least is clean."""
    branched_only: bool
    """As bursts begin, only answers after tree nodes are astray that lie elsewhere in the list than
    in their branch: others stand before them that they don't follow from. What they left in the
    cache may lead any answer astray later on."""
    uneven_only: bool
    """Only rounds are astray that come after two of unlike numbers of accepted tokens."""
    from_second: bool
    """The first burst is clean, and those after it are astray from their first round on."""
    since: tuple[int, int] | None
    """Greatest clean context below, and least astray one from which on places are astray."""
    clean_until: int | None
    """Where the deepest burst begins that lies below all with astray places, if any does."""
    astray_from: int
    """Where the shallowest burst begins that has some."""
    builds_up: bool
    """The gap grows over a burst's rounds."""
    deepens: bool
    """It grows from shallow bursts to deep ones."""


def localise(evidence: Evidence, side: Side) -> Pattern:
    """Return the pattern of a side that has astray places."""
    row = evidence.row(side.round)
    kind, context = evidence.after[row], evidence.rounds.context[row] + side.index
    since, second = _since(side, context), _from_second(evidence, side)
    deep = np.ones(len(side.round), np.bool_) if since is None else context >= since[1]
    onset, hazards = _onset(evidence, side, deep)
    first = _first(side)
    clean_until, astray_from = _bursts(evidence, side)
    used, clean = attribution.drafted_probs(evidence, side, first) or (None, None)
    where = Where(
        round=int(side.round[first]),
        context=int(context[first]),
        index=int(side.index[first]),
        event=AFTER[int(kind[first])],
        used=used,
        clean=clean,
    )
    if max(hazards) >= 0.5 and onset not in {"at once", ""}:  # noqa: PLR2004 - oftener than not
        since = None if _explains(evidence, side, onset) else since
    return Pattern(
        where=where,
        first_gap=float(side.gap[first]),
        share=float(side.astray.mean()),
        size=float(np.median(side.gap[side.astray])),
        onset=onset,
        lasts=_lasts(evidence, side, onset),
        later_only=_clean(side.astray, side.index == 0, deep),
        begins_later=_clean(side.astray, side.index == 0, kind == 0),
        one_sequence_clean=_one_sequence_clean(evidence, side),
        branched_only=evidence.columns.trees
        and _clean(side.astray, attribution.answering(evidence, side) == side.index - 1, kind == 0),
        uneven_only=_uneven_only(evidence, side, deep),
        from_second=second,
        since=since,
        clean_until=clean_until,
        astray_from=astray_from,
        builds_up=_builds_up(evidence, side),
        deepens=_deepens(side, context),
    )


def _first(side: Side) -> int:
    """Return the row of the astray place that came first, one with a drafted token if there is."""
    rows = np.flatnonzero(side.astray)
    return int(rows[np.lexsort((side.index[rows], side.round[rows]))[0]])


def _clean(astray: Bools, one: Bools, among: Bools | None = None) -> bool:
    """Whether the places of `one` side are clean where the others' share would show, [n] each."""
    among = np.ones(len(astray), np.bool_) if among is None else among
    inside, outside = astray[one & among], astray[~one & among]
    if not len(inside) or not len(outside):
        return False
    due = float(outside.mean())
    return len(inside) * due >= FEW and bool(inside.mean() <= CLEAN * due)


def _onset(evidence: Evidence, side: Side, deep: Bools) -> tuple[Onset, list[float]]:
    """Return what bursts first go astray after, and how likely each outcome is to be it.

    Of the rounds up to and with a burst's first astray one: the share that is it, by outcome. Only
    at `deep` places [n], where the fault is at work at all.
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
    seen = np.bincount(kind[none_yet], minlength=len(AFTER))
    hits = np.bincount(kind[none_yet & astray], minlength=len(AFTER))
    hazards = [float(hits[each] / seen[each]) if seen[each] else 0.0 for each in _KINDS]
    return _named(hazards, hits[: len(hazards)]), hazards


def _named(hazards: list[float], hits: Ints) -> Onset:
    start, rejection, accepted = hazards
    total = float(hits.sum())
    if hits[0] >= 0.5 * total and start >= 0.3:  # noqa: PLR2004 - most bursts, and not by chance
        return "at once"
    if hits[1] >= 0.8 * total and accepted <= rejection / 3:
        return "rejection"
    if rejection <= accepted / 3 and hits[2] >= 0.5 * total:
        return "all-accepted"
    return "any round" if start <= CLEAN * max(rejection, accepted) else ""


def _explains(evidence: Evidence, side: Side, onset: Onset) -> bool:
    """Whether the outcome alone tells astray bursts from clean ones, whatever the depth."""
    rounds, inverse = np.unique(side.round, return_inverse=True)
    astray = np.bincount(inverse, weights=side.astray) > 0
    row = evidence.row(rounds)
    burst, kind = evidence.rounds.burst[row], evidence.after[row]
    wanted = {"rejection": (1,), "all-accepted": (2,), "any round": (1, 2)}.get(onset, ())
    met = np.isin(kind, wanted)
    _, of = np.unique(burst, return_inverse=True)
    dirty = np.bincount(of, weights=astray) > 0
    exposed = int((met & ~dirty[of]).sum())
    return exposed <= CLEAN * max(int(met.sum()), 1)


def _lasts(evidence: Evidence, side: Side, onset: Onset) -> bool:
    other = {"rejection": 2, "all-accepted": 1}.get(onset)
    if other is None:
        return True
    row = evidence.row(side.round)
    bursts, burst = np.unique(evidence.rounds.burst[row], return_inverse=True)
    begun = np.full(len(bursts), _BEYOND)
    np.minimum.at(begun, burst[side.astray], side.round[side.astray])
    after = (side.round > begun[burst]) & (evidence.after[row] == other)
    return bool(after.any()) and bool(side.astray[after].mean() >= 0.5 * _share_after(side, begun))


def _share_after(side: Side, begun: Ints) -> float:
    return float(side.astray[side.round >= begun.min()].mean())


def _uneven_only(evidence: Evidence, side: Side, deep: Bools) -> bool:
    before = np.full(len(evidence.rounds), -1, np.int64)
    goes_on = evidence.next_row >= 0
    before[evidence.next_row[goes_on]] = np.flatnonzero(goes_on)
    last = before[evidence.row(side.round)]
    known = (last >= 0) & (before[last] >= 0)
    accepted = evidence.rounds.accepted
    alike = accepted[last] == accepted[before[last]]
    return _clean(side.astray, alike, known & deep)


def _one_sequence_clean(evidence: Evidence, side: Side) -> bool:
    _, sequence = np.unique(evidence.rounds.sequence[evidence.row(side.round)], return_inverse=True)
    astray = np.bincount(sequence, weights=side.astray)
    places = np.bincount(sequence)
    share = astray[places >= FEW] / places[places >= FEW]
    return len(share) > 1 and bool(share.min() <= CLEAN * share.max())


def _from_second(evidence: Evidence, side: Side) -> bool:
    """Whether each sequence's first burst is clean and later ones are astray as they begin."""
    row = evidence.row(side.round)
    burst = evidence.rounds.burst[row]
    sequences, sequence = np.unique(evidence.rounds.sequence[row], return_inverse=True)
    earliest = np.full(len(sequences), _BEYOND)
    np.minimum.at(earliest, sequence, burst)
    first = burst == earliest[sequence]
    begins = ~first & (evidence.after[row] == 0)
    if not begins.any() or not first.any():
        return False
    share = float(side.astray[begins].mean())
    return share >= 0.5 and bool(side.astray[first].mean() <= CLEAN * share)  # noqa: PLR2004


def _since(side: Side, context: Ints) -> tuple[int, int] | None:
    """Return between which contexts places begin to go astray: the likeliest single split."""
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
    if near[cut] > CLEAN / 2 * far[cut] or (cut + 1) * far[cut] < FEW:
        return None
    start = cut + 1 + int(astray[cut + 1 :].argmax())
    return int(context[start - 1]), int(context[start])


def _bursts(evidence: Evidence, side: Side) -> tuple[int | None, int]:
    """Return where the deepest clean burst and the shallowest astray one begin.

    A burst counts as astray by a tenth of its places, and as clean by none below all of these.
    """
    rounds = evidence.rounds
    bursts, of = np.unique(rounds.burst[evidence.row(side.round)], return_inverse=True)
    starts, place = np.full(len(bursts), _BEYOND), np.searchsorted(bursts, rounds.burst)
    known = bursts[place.clip(max=len(bursts) - 1)] == rounds.burst
    np.minimum.at(starts, place[known], rounds.context[known])
    astray = starts[np.bincount(of, weights=side.astray) / np.bincount(of) > CLEAN]
    shallowest = int(astray.min(initial=starts.max()))
    below = starts[starts < shallowest]
    return int(below.max()) if len(below) else None, shallowest


def _entropy(share: Floats) -> Floats:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(-inside * np.log(inside) - (1 - inside) * np.log1p(-inside))


def _builds_up(evidence: Evidence, side: Side) -> bool:
    """Whether gaps late in bursts are twice those early on, though these are astray too."""
    played = _played(evidence)[evidence.row(side.round)]
    middle = float(np.median(played[played > 0])) if (played > 0).any() else 0.0
    early, late = (played > 0) & (played <= middle), played > middle
    return _grown(side.gap, early, late, times=1.5)


def _deepens(side: Side, context: Ints) -> bool:
    """Whether gaps in deep bursts are half as large again as in shallow ones."""
    middle = float(np.median(context[side.astray]))
    shallow = side.astray & (context <= middle)
    return _grown(side.gap, shallow, side.astray & (context > middle), times=1.5)


def _grown(gap: Floats, before: Bools, after: Bools, times: float) -> bool:
    if min(int(before.sum()), int(after.sum())) < FEW:
        return False
    return float(gap[after].mean()) >= times * float(gap[before].mean())


def _played(evidence: Evidence) -> Ints:
    """Return how many rounds of its burst went before each, [rounds]."""
    order, burst = evidence.columns.burst_order, evidence.rounds.burst
    sorted_ = burst[order]
    starts = np.flatnonzero(np.append(True, sorted_[1:] != sorted_[:-1]))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    found = np.zeros(len(order), np.int64)
    found[order] = place
    return found
