"""Which places are astray and which clean: whole requests, an index, a length, a wrap, a batch.

Every contrast compares places that differ in one thing, and names it only where enough places would
have shown the fault. Places of one round go astray together, so contrasts between rounds count
rounds. Knows places and rounds; names no bug.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from specprof.analysis import outcomes
from specprof.analysis.attribution import Side
from specprof.analysis.evidence import Evidence
from specprof.analysis.onset import MAX_CLEAN_RATIO, entropy, rows_before
from specprof.analysis.tables import Bools, Ints

MIN_PLACES_ASTRAY = 8
"""Astray places that a clean side would have at the other side's share; fewer prove nothing."""
MIN_ROUNDS_ASTRAY = 5
"""The same, in rounds."""
MIN_SHARE = 0.5
"""Of the places with an event that are astray, for that event to be named."""
NEARLY_ALL = 0.8
"""Of the places of a request that is astray as a whole; of the places, if all are."""
MIN_TIMES = 3
"""How often a rare event must have been met."""
MIN_SPLIT_GAIN = 10.0
"""Nats by which the likeliest of many contexts must explain the places better than chance."""
_MAX_INT = np.iinfo(np.int64).max
"""Larger than every burst's number and every context."""


@dataclass(frozen=True, slots=True)
class Wholes:
    """The requests, or the sequences of a batch, that are astray as a whole; no other is."""

    of: Literal["request", "sequence"]
    numbers: tuple[int, ...]
    """The first has number 1."""
    count: int
    """How many there are, the clean ones included."""


def is_side_clean(
    astray: Bools, one: Bools, among: Bools | None = None, *, rounds: Ints | None = None
) -> bool:
    """Whether `one` side's places are clean and the other places' share would show, [n] each.

    rounds: the round of each place, for a contrast between rounds.
    """
    among = np.ones(len(astray), np.bool_) if among is None else among
    inside, outside = astray[one & among], astray[~one & among]
    if not len(inside) or not len(outside):
        return False
    due = float(outside.mean())
    if rounds is not None and _rounds_due(astray, rounds, one & among, ~one & among) < (
        MIN_ROUNDS_ASTRAY
    ):
        return False
    return len(inside) * due >= MIN_PLACES_ASTRAY and bool(inside.mean() <= MAX_CLEAN_RATIO * due)


def _rounds_due(astray: Bools, rounds: Ints, one: Bools, other: Bools) -> float:
    """Return how many rounds of one side would be astray at the other side's share."""
    dirty = np.unique(rounds[other & astray])
    share = len(dirty) / len(np.unique(rounds[other]))
    return share * len(np.unique(rounds[one]))


def is_throughout(evidence: Evidence, side: Side) -> bool:
    """Whether nearly every place of nearly every burst is astray, from the first round on."""
    begins = evidence.after[evidence.row(side.round)] == outcomes.FIRST
    _, _, share = _by_burst(evidence, side)
    from_the_first = not begins.any() or side.astray[begins].mean() >= NEARLY_ALL
    return bool(from_the_first and (share >= NEARLY_ALL).mean() >= NEARLY_ALL)


def _by_burst(evidence: Evidence, side: Side) -> tuple[Ints, Ints, np.ndarray]:
    """Return the bursts, each place's burst among them [n], and each burst's share astray."""
    burst = evidence.rounds.burst[evidence.row(side.round)]
    bursts, of = np.unique(burst, return_inverse=True)
    return bursts, of, np.bincount(of, weights=side.astray) / np.bincount(of)


def find_wholes(evidence: Evidence, side: Side) -> Wholes | None:
    """Return the requests or sequences that alone are astray, from their first round on.

    None where a burst is astray in part, where none is clean, and where the astray ones are simply
    the deepest: then a length separates them.
    """
    bursts, of, share = _by_burst(evidence, side)
    row = evidence.row(side.round)
    dirty, clean = share >= NEARLY_ALL, share <= MAX_CLEAN_RATIO / 2
    few = np.bincount(of) < MIN_PLACES_ASTRAY
    if not (dirty | clean | few).all() or not dirty.any() or not (clean & ~few).any():
        return None
    begins = evidence.after[row] == outcomes.FIRST
    first = np.bincount(of[begins], side.astray[begins], minlength=len(bursts))
    if (first[dirty] == 0).any():
        return None
    context = evidence.rounds.context[row]
    starts, ends = np.full(len(bursts), _MAX_INT), np.zeros(len(bursts), np.int64)
    np.minimum.at(starts, of, context)
    np.maximum.at(ends, of, context)
    if starts[dirty].min() > ends[clean].max():
        return None
    return _name_wholes(evidence, bursts[dirty & ~few], bursts[clean & ~few])


def _name_wholes(evidence: Evidence, dirty: Ints, clean: Ints) -> Wholes | None:
    rounds = evidence.rounds
    if not len(dirty):
        return None
    sequences, of = np.unique(rounds.sequence, return_inverse=True)
    owners = {int(burst): int(each) for burst, each in zip(rounds.burst, of, strict=True)}
    astray = {owners[int(each)] for each in dirty}
    if len(sequences) > 1 and not astray & {owners[int(each)] for each in clean}:
        return Wholes("sequence", tuple(sorted(each + 1 for each in astray)), len(sequences))
    every = np.unique(rounds.burst)
    places = np.searchsorted(every, dirty) + 1
    return Wholes("request", tuple(int(each) for each in places), len(every))


def is_from_second(evidence: Evidence, side: Side) -> bool:
    """Whether each sequence's first burst is clean and nearly all later ones begin astray.

    First rounds are compared with first rounds: a fault that takes some rounds to begin leaves all
    of them clean.
    """
    row = evidence.row(side.round)
    burst = evidence.rounds.burst[row]
    sequences, sequence = np.unique(evidence.rounds.sequence[row], return_inverse=True)
    earliest = np.full(len(sequences), _MAX_INT)
    np.minimum.at(earliest, sequence, burst)
    first, begins = burst == earliest[sequence], evidence.after[row] == outcomes.FIRST
    later, of = np.unique(burst[~first & begins], return_inverse=True)
    if len(later) < MIN_TIMES - 1 or not (first & begins).any():
        return False
    dirty = np.bincount(of, weights=side.astray[~first & begins]) > 0
    share = float(side.astray[~first & begins].mean())
    limit = MAX_CLEAN_RATIO * share
    clean = max(side.astray[first & begins].mean(), side.astray[first].mean()) <= limit
    return bool(clean and dirty.mean() >= NEARLY_ALL and share >= MIN_SHARE)


def is_start_only(evidence: Evidence, side: Side) -> bool:
    """Whether bursts' first rounds are astray and later rounds are clean."""
    begins = evidence.after[evidence.row(side.round)] == outcomes.FIRST
    often = len(np.unique(side.round[begins])) >= MIN_TIMES
    share = float(side.astray[begins].mean()) if begins.any() else 0.0
    clean = is_side_clean(side.astray, ~begins, rounds=side.round)
    return often and share >= MIN_SHARE and clean


def find_only_index(side: Side) -> int | None:
    """Return the one draft index that is astray; None where others are as well."""
    for index in np.unique(side.index[side.astray]):
        here = side.index == index
        often = len(np.unique(side.round[here & side.astray])) >= MIN_TIMES
        if often and is_side_clean(side.astray, ~here):
            return int(index)
    return None


def is_last_row_only(evidence: Evidence, side: Side) -> bool:
    """Whether only the row after the last of several drafts is astray: the bonus token's row."""
    levels = evidence.rounds.levels[evidence.row(side.round)]
    last = (side.index == levels) & (levels > 0)
    often = len(np.unique(side.round[last & side.astray])) >= MIN_TIMES
    return often and is_side_clean(side.astray, ~last)


def find_batch_size(evidence: Evidence, side: Side) -> tuple[Literal["least", "most"], int] | None:
    """Return how many sequences are decoded together, at least or at most, where it goes astray."""
    size = evidence.rounds.shared[evidence.row(side.round)]
    sizes = np.unique(size)
    found = list[tuple[float, Literal["least", "most"], int]]()
    for below, limit in itertools.pairwise(sizes.tolist()):
        large = size >= limit
        if _is_only(side, large):
            found.append((float(side.astray[large].mean()), "least", limit))
        if _is_only(side, ~large):
            found.append((float(side.astray[~large].mean()), "most", below))
    return max(found)[1:] if found else None


def _is_only(side: Side, here: Bools) -> bool:
    """Whether most of these places are astray, and the others are clean."""
    share = float(side.astray[here].mean()) if here.any() else 0.0
    return share >= MIN_SHARE and is_side_clean(side.astray, ~here, rounds=side.round)


def is_at_wraps(evidence: Evidence, side: Side) -> bool:
    """Whether only places right behind a window's end are astray, where its rows are used again."""
    window, sinks = _find_window(evidence, side)
    if not window:
        return False
    begun = evidence.rounds.context[evidence.row(side.round)]
    wrapped = (begun + side.index - sinks) // window > (begun - 1 - sinks) // window
    often = len(np.unique(side.round[wrapped & side.astray])) >= MIN_TIMES
    return often and _is_only(side, wrapped)


def _find_window(evidence: Evidence, side: Side) -> tuple[int, int]:
    """Return a side's window and sinks in tokens; 0 where it has no window."""
    settings, header = evidence.settings, evidence.header
    of_target = side.of == "target"
    cache = settings.cache if of_target else settings.draft_cache or settings.cache
    if cache == "sink-window":
        return settings.window, settings.sinks
    facts = header.target if of_target else header.draft
    return (facts.window or 0 if facts else 0), 0


def is_uneven_only(evidence: Evidence, side: Side, deep: Bools) -> bool:
    """Whether rounds are astray only after two rounds that accepted different numbers of tokens."""
    before = rows_before(evidence)
    last = before[evidence.row(side.round)]
    known = (last >= 0) & (before[last] >= 0)
    accepted = evidence.rounds.accepted
    alike = accepted[last] == accepted[before[last]]
    return is_side_clean(side.astray, alike, known & deep, rounds=side.round)


def split_by_context(side: Side, context: Ints) -> tuple[int, int] | None:
    """Return the two contexts between which places begin to go astray: the likeliest split."""
    order = np.argsort(context, kind="stable")
    context, astray = context[order], side.astray[order]
    below, n = np.arange(1, len(order)), len(order)
    split = context[1:] > context[:-1]
    if not split.any():
        return None
    hits = np.cumsum(astray)
    near, far = hits[:-1] / below, (hits[-1] - hits[:-1]) / (n - below)
    gain = np.where(split, -below * entropy(near) - (n - below) * entropy(far), -np.inf)
    cut = int(gain.argmax())
    if near[cut] > MAX_CLEAN_RATIO / 2 * far[cut] or (cut + 1) * far[cut] < MIN_PLACES_ASTRAY:
        return None
    rounds, shallow = side.round[order], np.arange(n) <= cut
    if _rounds_due(astray, rounds, shallow, ~shallow) < MIN_ROUNDS_ASTRAY:
        return None
    by_chance = gain[cut] + n * float(entropy(np.array(hits[-1] / n))) < MIN_SPLIT_GAIN
    if by_chance or len(np.unique(rounds[~shallow & astray])) < MIN_ROUNDS_ASTRAY:
        return None
    start = cut + 1 + int(astray[cut + 1 :].argmax())
    return int(context[start - 1]), int(context[start])
