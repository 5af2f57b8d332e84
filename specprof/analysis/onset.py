"""After which event a burst's answers first go astray, and whether they stay astray.

Every event is a mask of rounds. The event that starts a fault has most of the bursts' first astray
rounds right after it, and rounds without it are hardly ever the first astray. A few bursts may look
so by chance, hence the odds must be beyond it. Knows rounds and events; names no bug.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from specprof.analysis import outcomes
from specprof.analysis.attribution import Side
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats, Ints

Event = Literal["rejection", "all-accepted", "idle", "undone", "replay"]
Onset = Literal["at once", "rejection", "all-accepted", "idle", "undone", "replay", "any round", ""]
"""The event right before a burst's answers first go astray; empty: no single event."""
SAID: dict[str, str] = {
    "rejection": "a rejection",
    "all-accepted": "an all-accepted round",
    "idle": "a round that drafted nothing",
    "undone": "a round that committed nothing",
    "replay": "a round that ran the target again",
}
RARE: tuple[Event, ...] = ("idle", "undone", "replay")
"""Events that most loops never have."""
MAX_CLEAN_RATIO = 0.1
"""A side of a contrast is clean where its share astray is at most this much of the other's."""
MIN_GAIN = 3.0
"""Nats by which an event must explain the first astray rounds better than chance does: with one
event in question, chance reaches that once in seventy times."""
_MAX_INT = np.iinfo(np.int64).max
"""Larger than every round's index."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """How often rounds with an event are their burst's first astray round, and the other rounds."""

    hits: int
    """First astray rounds that have the event."""
    among: float
    """The share of the event's rounds that are first astray."""
    others: float
    """The same of the other rounds."""
    gain: float
    """Nats by which two shares explain the rounds better than one share does."""


def find_onset(evidence: Evidence, side: Side, deep: Bools) -> tuple[Onset, float]:
    """Return the event after which bursts first go astray, and the largest hazard of an event.

    Counts only `deep` places, [n], where the fault is at work.
    """
    row, hit = _exposed_rounds(evidence, side, deep)
    kind, total = evidence.after[row], int(hit.sum())
    start, rejection, accepted = (
        _hazard(hit, kind == each)
        for each in (outcomes.FIRST, outcomes.REJECTION, outcomes.ALL_ACCEPTED)
    )
    usual = _name_usual(start, rejection, accepted, total)
    gain = {"rejection": rejection.gain, "all-accepted": accepted.gain}.get(usual, 0.0)
    masks = event_masks(evidence)
    rare = {each: _hazard(hit, masks[each][row]) for each in RARE}
    found = [
        (one.gain, each)
        for each, one in rare.items()
        if one.hits >= 0.8 * total
        and one.others <= one.among / 3
        and one.gain >= max(MIN_GAIN, gain)
    ]
    most = max(each.among for each in (start, rejection, accepted, *rare.values()))
    return max(found, key=lambda each: each[0])[1] if found else usual, most


def event_masks(evidence: Evidence) -> dict[str, Bools]:
    """Return which rounds come right after each event, [rounds]. Events may coincide."""
    rounds, kind = evidence.rounds, evidence.after
    before = rows_before(evidence)
    known = before >= 0
    undone = known & (rounds.emitted[before] == 0)
    twice = rounds.target_forwards > rounds.target_forwards.min()
    again = undone | twice
    return {
        "rejection": kind == outcomes.REJECTION,
        "all-accepted": kind == outcomes.ALL_ACCEPTED,
        "idle": known & (rounds.drafted[before] == 0),
        "undone": undone,
        "replay": known & again[before],
    }


def rows_before(evidence: Evidence) -> Ints:
    """Return the row of the round before each round in its burst, [rounds]; -1: none is known."""
    before = np.full(len(evidence.rounds), -1, np.int64)
    goes_on = evidence.next_row >= 0
    before[evidence.next_row[goes_on]] = np.flatnonzero(goes_on)
    return before


def does_onset_explain(evidence: Evidence, side: Side, onset: Onset) -> bool:
    """Whether the onset alone separates astray bursts from clean bursts, at any depth."""
    rounds, inverse = np.unique(side.round, return_inverse=True)
    astray = np.bincount(inverse, weights=side.astray) > 0
    row = evidence.row(rounds)
    met = _meets(evidence, onset)[row]
    _, of = np.unique(evidence.rounds.burst[row], return_inverse=True)
    dirty = np.bincount(of, weights=astray) > 0
    exposed = int((met & ~dirty[of]).sum())
    return exposed <= MAX_CLEAN_RATIO * max(int(met.sum()), 1)


def _meets(evidence: Evidence, onset: Onset) -> Bools:
    masks = event_masks(evidence)
    if onset == "any round":
        return masks["rejection"] | masks["all-accepted"]
    found = masks.get(onset)
    return np.zeros(len(evidence.rounds), np.bool_) if found is None else np.asarray(found)


def does_last(evidence: Evidence, side: Side, onset: Onset) -> bool:
    """Whether later rounds stay astray after other events than the onset."""
    if onset not in SAID:
        return True
    masks, row = event_masks(evidence), evidence.row(side.round)
    if onset in RARE:
        other = ~_meets(evidence, onset)
    else:
        other = masks["all-accepted" if onset == "rejection" else "rejection"]
    bursts, burst = np.unique(evidence.rounds.burst[row], return_inverse=True)
    begun = np.full(len(bursts), _MAX_INT)
    np.minimum.at(begun, burst[side.astray], side.round[side.astray])
    after = (side.round > begun[burst]) & other[row]
    due = float(side.astray[side.round >= begun.min()].mean())
    return bool(after.any()) and bool(side.astray[after].mean() >= 0.5 * due)


def _exposed_rounds(evidence: Evidence, side: Side, deep: Bools) -> tuple[Ints, Bools]:
    """Return the rows of the rounds up to each burst's first astray one, and which ones are that.

    [n] each.
    """
    rounds, inverse = np.unique(side.round[deep], return_inverse=True)
    astray = np.bincount(inverse, weights=side.astray[deep]) > 0
    row = evidence.row(rounds)
    order = np.argsort(evidence.rounds.burst[row], kind="stable")
    row, astray = row[order], astray[order]
    burst = evidence.rounds.burst[row]
    before: Ints = np.cumsum(astray) - astray
    begins = np.append(True, burst[1:] != burst[:-1])[: len(burst)]
    none_yet: Bools = before == np.maximum.accumulate(np.where(begins, before, 0))
    return row[none_yet], astray[none_yet]


def _hazard(hit: Bools, event: Bools) -> Hazard:
    among, others = _share(hit[event]), _share(hit[~event])
    parts = [(hit, _share(hit), 1), (hit[event], among, -1), (hit[~event], others, -1)]
    gain = sum(sign * len(rows) * float(entropy(np.array(share))) for rows, share, sign in parts)
    return Hazard(int(hit[event].sum()), among, others, gain)


def _share(hit: Bools) -> float:
    return float(hit.mean()) if len(hit) else 0.0


def entropy(share: Floats) -> Floats:
    """Return the entropy of coins in nats; share: of heads, any shape."""
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.asarray(-inside * np.log(inside) - (1 - inside) * np.log1p(-inside))


def _name_usual(start: Hazard, rejection: Hazard, accepted: Hazard, total: int) -> Onset:
    if start.hits >= 0.5 * total and start.among >= 0.3:  # noqa: PLR2004 - not by chance
        return "at once"
    after_rejections = rejection.hits >= 0.8 * total
    if after_rejections and accepted.among <= rejection.among / 3 and rejection.gain >= MIN_GAIN:
        return "rejection"
    after_accepted = accepted.hits >= 0.5 * total
    if after_accepted and rejection.among <= accepted.among / 3 and accepted.gain >= MIN_GAIN:
        return "all-accepted"
    later = start.among <= MAX_CLEAN_RATIO * max(rejection.among, accepted.among)
    return "any round" if later and start.gain >= MIN_GAIN else ""
