"""Numbers of one round that everything around it contradicts: altered digits, no broken engine.

A bug shows in many rounds. So a number counts as altered only where very few rounds are odd and
where two sources that agree with each other give another number. A committed id counts as altered
where it is the only impossible id of the capture. Knows columns. Says nothing beside a gap: there
the sources may be missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, contradict_counts
from specprof.analysis.tables import Bools, Floats, Ints, distinct

MAX_ODD_SHARE = 0.01
"""Share of the rounds; more odd rounds are no accident of a few digits."""
MIN_WITNESSES = 2
PLAIN_CACHES = frozenset({"dense"})
"""Caches that hold the same number of bytes for every token."""
NO_TOKEN = np.iinfo(np.int64).min
"""Stands where no draft was accepted."""
MIN_AGREEING_ROUNDS = 4
"""Rounds that must agree before another round counts as odd."""


def altered_numbers(columns: Columns) -> Iterator[Contradiction]:
    """Yield one contradiction for each kind of number that was altered in a few rounds."""
    if len(columns.rounds):
        yield from _stray_rounds(columns)
        yield from _misplaced_starts(columns)
        yield from _wrong_cache_bytes(columns)
        yield from _broken_paths(columns)
        yield from _unknown_drafts(columns)
        yield from _wrong_committed_id(columns)


def _stray_rounds(columns: Columns) -> Iterator[Contradiction]:
    """Look for a round among another burst's rounds: a recorder has one burst open at a time."""
    if _batch(columns) > 1:
        return
    burst, index = columns.rounds.burst, columns.rounds.index
    before, after = np.append(burst[0], burst[:-1]), np.append(burst[1:], burst[-1])
    stray = (before <= after) & ((burst < before) | (burst > after))
    stray[0], stray[-1] = _are_edges_astray(burst)
    if stray.any() and _are_few(stray):
        row = int(stray.argmax())
        own, other = burst[row], burst[row - 1] if row else burst[1]
        text = f"round {index[row]:,} is of burst {own:,}, amid rounds of burst {other:,}"
        yield contradict_counts(text, index[stray])


def _are_edges_astray(burst: Ints) -> tuple[bool, bool]:
    """Return whether the first round is of a later burst than the next, the last of an earlier.

    Of each, only where the two rounds beside it are of one burst.
    """
    if len(burst) < MIN_AGREEING_ROUNDS:
        return False, False
    return bool(burst[0] > burst[1] == burst[2]), bool(burst[-1] < burst[-2] == burst[-3])


@dataclass
class _Witnesses:
    """What other lines give for one number of every round; arrays are [rounds]."""

    value: Floats
    """The first witness's number; nan where there is no witness."""
    count: Ints
    """How many witnesses there are."""
    agree: Bools
    """Whether all witnesses give one number."""
    denied: Bools
    """Whether a witness gives another number than the round itself."""

    def add(self, values: Floats, own: Ints) -> None:
        """Add one witness's numbers, [rounds], nan where it has none; `own` are the rounds'."""
        known, heard = ~np.isnan(values), ~np.isnan(self.value)
        self.agree &= ~(known & heard) | (self.value == values)
        self.value = np.where(heard, self.value, values)
        self.count += known
        self.denied |= known & (values != own)


def _misplaced_starts(columns: Columns) -> Iterator[Contradiction]:
    """Look for a round whose context differs from the one that the lines around it give."""
    rounds, around = columns.rounds, _starts(columns)
    sure = around.agree & (around.count >= MIN_WITNESSES)
    odd = sure & (around.value != rounds.context)
    beside = around.denied & ~odd  # the rounds right before and after an altered round
    if odd.any() and _are_few(odd) and beside.sum() <= 2 * odd.sum():
        row = int(odd.argmax())
        text = (
            f"round {rounds.index[row]:,} starts at {rounds.context[row]:,} tokens, "
            f"and the lines around it say {int(around.value[row]):,}"
        )
        yield contradict_counts(text, rounds.index[odd])


def _starts(columns: Columns) -> _Witnesses:
    """Return each round's context as the lines around it give it."""
    rounds, order = columns.rounds, columns.burst_order
    lost = rounds.index - np.arange(len(rounds))
    follows = rounds.burst[order][1:] == rounds.burst[order][:-1]
    follows &= lost[order][1:] == lost[order][:-1]
    earlier, later = order[:-1][follows], order[1:][follows]
    unknown = np.full(len(rounds), np.nan)
    before, after, fed = unknown.copy(), unknown.copy(), unknown.copy()
    before[later] = (rounds.context + rounds.emitted)[earlier]
    after[earlier] = rounds.context[later] - rounds.emitted[earlier]
    opens = np.ones(len(rounds), np.bool_)
    opens[order[1:][rounds.burst[order][1:] == rounds.burst[order][:-1]]] = False
    opens &= lost == (0 if _batch(columns) > 1 else np.append(0, lost[:-1]))
    fed_to = {one.burst: one.context for one in columns.prefills}
    rows = np.flatnonzero(opens)
    fed[rows] = [fed_to.get(burst, np.nan) for burst in rounds.burst[rows].tolist()]
    found = _Witnesses(
        value=unknown,
        count=np.zeros(len(rounds), np.int64),
        agree=np.ones(len(rounds), np.bool_),
        denied=np.zeros(len(rounds), np.bool_),
    )
    for values in (before, after, fed, rounds.target_length + 1 - rounds.emitted):
        found.add(values, rounds.context)
    return found


def _wrong_cache_bytes(columns: Columns) -> Iterator[Contradiction]:
    """Look for a cache whose length and bytes differ, while they agree in all other rounds."""
    header, rounds = columns.header, columns.rounds
    if header is None or header.spec.settings.cache not in PLAIN_CACHES:
        return
    for role, facts in (("target", header.target), ("draft", header.draft)):
        length, held = (np.asarray(getattr(rounds, f"{role}_{n}")) for n in ("length", "kv_bytes"))
        if facts is None or not facts.kv_bytes_per_token:
            continue
        known = ~np.isnan(length) & ~np.isnan(held)
        odd = known & (held != length * facts.kv_bytes_per_token)
        if odd.any() and _are_few(odd) and (known & ~odd).sum() >= MIN_AGREEING_ROUNDS:
            row = int(odd.argmax())
            text = (
                f"round {rounds.index[row]:,} says that the {role}'s cache holds "
                f"{int(length[row]):,} tokens, and its bytes are those of "
                f"{held[row] / facts.kv_bytes_per_token:,.0f}"
            )
            yield contradict_counts(text, rounds.index[odd])


def _broken_paths(columns: Columns) -> Iterator[Contradiction]:
    """Look for accepted drafts that form no path: two of one level, or one without its parent."""
    rounds, places = columns.rounds, columns.places
    stood = places.where(places.accepted)
    if not len(stood):
        return
    row = np.searchsorted(rounds.index, stood.round)
    count = np.bincount(row, minlength=len(rounds))
    deepest = np.full(len(rounds), -1, np.int64)
    np.maximum.at(deepest, row, stood.index)
    levels = int(stood.index.max()) + 1
    own = distinct(row * levels + stood.index) // levels  # a round for each level it passed
    odd = (np.bincount(own, minlength=len(rounds)) != count) | (deepest + 1 != count)
    if odd.any() and _are_few(odd):
        text = f"the accepted drafts of round {rounds.index[odd][0]:,} don't follow one another"
        yield contradict_counts(text, rounds.index[odd])


def _unknown_drafts(columns: Columns) -> Iterator[Contradiction]:
    """Look for drafts outside the target's vocabulary to which the target gave a probability.

    A committed id outside the vocabulary proves no altered file: a broken engine may emit one.
    """
    facts = columns.header.target if columns.header is not None else None
    if facts is None:
        return
    places = columns.places
    odd = (places.token >= facts.vocabulary) & (places.target_prob > 0)
    if odd.any():
        text = (
            f"the target has {facts.vocabulary:,} tokens by the header, and it gave a probability "
            f"to token {places.token[odd][0]:,}"
        )
        yield contradict_counts(text, np.unique(places.round[odd]))


def _wrong_committed_id(columns: Columns) -> Iterator[Contradiction]:
    """Look for a single impossible committed id in the capture, in a round of the right length.

    An altered digit may leave one such id, and so may a bug. Two such ids are no accident.
    """
    rounds = columns.rounds
    if len(rounds) <= MIN_AGREEING_ROUNDS:
        return
    row = np.repeat(np.arange(len(rounds)), rounds.emitted)
    came, wanted = columns.emitted.token, _accepted_tokens(columns)
    other = (wanted != NO_TOKEN) & (came != wanted)
    facts = columns.header.target if columns.header is not None else None
    foreign = (came < 0) | (came >= facts.vocabulary) if facts else np.zeros_like(other)
    wrong = other | foreign
    if wrong.sum() != 1:
        return
    at = int(wrong.argmax())
    if not _has_right_length(columns)[row[at]]:  # more than one id of this round is wrong
        return
    text = f"round {rounds.index[row[at]]:,} alone commits token {came[at]}"
    text += f" where it accepted {wanted[at]}" if other[at] else ", which the target doesn't have"
    yield contradict_counts(
        f"{text}: a damaged file or a bug leaves that", rounds.index[row[at : at + 1]]
    )


def _accepted_tokens(columns: Columns) -> Ints:
    """Return the accepted draft at each committed id's place, [ids]; `NO_TOKEN` without one."""
    rounds, places = columns.rounds, columns.places
    wanted = np.full(len(columns.emitted), NO_TOKEN, np.int64)
    starts = rounds.emitted.cumsum() - rounds.emitted
    stood = places.where(places.accepted)
    row = np.searchsorted(rounds.index, stood.round)
    inside = stood.index < rounds.emitted[row]
    wanted[(starts[row] + stood.index)[inside]] = stood.token[inside]
    return wanted


def _has_right_length(columns: Columns) -> Bools:
    """Return whether a round commits its accepted drafts and one more token, [rounds].

    The last round of a burst may commit fewer.
    """
    rounds, order = columns.rounds, columns.burst_order
    closes = np.ones(len(rounds), np.bool_)
    closes[order[:-1][rounds.burst[order][1:] == rounds.burst[order][:-1]]] = False
    surplus = rounds.emitted - rounds.accepted - 1
    return np.asarray((surplus == 0) | (closes & (surplus < 0)))


def _are_few(odd: Bools) -> bool:
    return bool(odd.sum() <= max(1, MAX_ODD_SHARE * len(odd)))


def _batch(columns: Columns) -> int:
    return columns.header.spec.settings.batch if columns.header is not None else 1
