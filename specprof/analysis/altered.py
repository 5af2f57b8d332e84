"""What one round says and everything around it denies: an altered digit, not a broken engine.

A bug shows again and again. So a number counts as altered where only a round or two of the capture
say it, and where two others, which agree with one another, give another number for the same
thing; or where one committed id of the whole capture can't be right. Knows columns. Says nothing
beside a gap: there the witness may be missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, of_counts
from specprof.analysis.tables import Bools, Floats, Ints, distinct

LONE = 0.01
"""Of the rounds; what more of them say is no accident of a few digits."""
WITNESSES = 2
PLAIN_CACHES = frozenset({"dense"})
"""Those that hold as many bytes for every token."""
NO_TOKEN = np.iinfo(np.int64).min
"""Stands where no draft was accepted."""
FEWEST = 4
"""Rounds that have to agree before another one is odd."""


def altered(columns: Columns) -> Iterator[Contradiction]:
    """Yield each kind of number that a few rounds alone say against all around them."""
    if len(columns.rounds):
        yield from _strays(columns)
        yield from _misplaced(columns)
        yield from _misheld(columns)
        yield from _unhinged(columns)
        yield from _unheard_of(columns)
        yield from _miswritten(columns)


def _strays(columns: Columns) -> Iterator[Contradiction]:
    """Look for a round amid another burst's: a recorder has one burst open at a time."""
    if _batch(columns) > 1:
        return
    burst, index = columns.rounds.burst, columns.rounds.index
    before, after = np.append(burst[0], burst[:-1]), np.append(burst[1:], burst[-1])
    stray = (before <= after) & ((burst < before) | (burst > after))
    stray[0], stray[-1] = _astray_at_the_edges(burst)
    if stray.any() and _few(stray):
        row = int(stray.argmax())
        own, other = burst[row], burst[row - 1] if row else burst[1]
        told = f"round {index[row]:,} is of burst {own:,}, amid rounds of burst {other:,}"
        yield of_counts(told, index[stray])


def _astray_at_the_edges(burst: Ints) -> tuple[bool, bool]:
    """Return whether the first round is of a later burst than the next, the last of an earlier."""
    if len(burst) < FEWEST:
        return False, False
    return bool(burst[0] > burst[1] == burst[2]), bool(burst[-1] < burst[-2] == burst[-3])


@dataclass
class _Witnesses:
    """What others say of one number of every round: the first that did, and who agreed."""

    said: Floats
    """[rounds]; nan where nobody said anything."""
    count: Ints
    agree: Bools
    denied: Bools
    """[rounds]: whether anybody gave another number than the round itself."""

    def hear(self, values: Floats, own: Ints) -> None:
        """Take in one witness's numbers, [rounds], nan where it says none, beside their own."""
        known, heard = ~np.isnan(values), ~np.isnan(self.said)
        self.agree &= ~(known & heard) | (self.said == values)
        self.said = np.where(heard, self.said, values)
        self.count += known
        self.denied |= known & (values != own)


def _misplaced(columns: Columns) -> Iterator[Contradiction]:
    """Look for a round that starts elsewhere than the rounds and lines around it say."""
    rounds, around = columns.rounds, _starts(columns)
    sure = around.agree & (around.count >= WITNESSES)
    odd = sure & (around.said != rounds.context)
    beside = around.denied & ~odd  # what stands before and behind an altered one
    if odd.any() and _few(odd) and beside.sum() <= 2 * odd.sum():
        row = int(odd.argmax())
        told = (
            f"round {rounds.index[row]:,} starts at {rounds.context[row]:,} tokens, "
            f"and what stands around it says {int(around.said[row]):,}"
        )
        yield of_counts(told, rounds.index[odd])


def _starts(columns: Columns) -> _Witnesses:
    """Return where each round starts by all that say so but itself."""
    rounds, order = columns.rounds, columns.burst_order
    lost = rounds.index - np.arange(len(rounds))
    follows = rounds.burst[order][1:] == rounds.burst[order][:-1]
    follows &= lost[order][1:] == lost[order][:-1]
    earlier, later = order[:-1][follows], order[1:][follows]
    nobody = np.full(len(rounds), np.nan)
    before, after, fed = nobody.copy(), nobody.copy(), nobody.copy()
    before[later] = (rounds.context + rounds.emitted)[earlier]
    after[earlier] = rounds.context[later] - rounds.emitted[earlier]
    opens = np.ones(len(rounds), np.bool_)
    opens[order[1:][rounds.burst[order][1:] == rounds.burst[order][:-1]]] = False
    opens &= lost == (0 if _batch(columns) > 1 else np.append(0, lost[:-1]))
    fed_to = {one.burst: one.context for one in columns.prefills}
    rows = np.flatnonzero(opens)
    fed[rows] = [fed_to.get(burst, np.nan) for burst in rounds.burst[rows].tolist()]
    found = _Witnesses(
        said=nobody,
        count=np.zeros(len(rounds), np.int64),
        agree=np.ones(len(rounds), np.bool_),
        denied=np.zeros(len(rounds), np.bool_),
    )
    for values in (before, after, fed, rounds.target_length + 1 - rounds.emitted):
        found.hear(values, rounds.context)
    return found


def _misheld(columns: Columns) -> Iterator[Contradiction]:
    """Look for a cache whose tokens are not those its bytes hold, where all others' are."""
    header, rounds = columns.header, columns.rounds
    if header is None or header.spec.settings.cache not in PLAIN_CACHES:
        return
    for role, facts in (("target", header.target), ("draft", header.draft)):
        length, held = (np.asarray(getattr(rounds, f"{role}_{n}")) for n in ("length", "kv_bytes"))
        if facts is None or not facts.kv_bytes_per_token:
            continue
        told = ~np.isnan(length) & ~np.isnan(held)
        odd = told & (held != length * facts.kv_bytes_per_token)
        if odd.any() and _few(odd) and (told & ~odd).sum() >= FEWEST:
            row = int(odd.argmax())
            words = (
                f"round {rounds.index[row]:,} says that the {role}'s cache holds "
                f"{int(length[row]):,} tokens, and its bytes are those of "
                f"{held[row] / facts.kv_bytes_per_token:,.0f}"
            )
            yield of_counts(words, rounds.index[odd])


def _unhinged(columns: Columns) -> Iterator[Contradiction]:
    """Look for accepted drafts that are no path: two of a level, or one without its parent."""
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
    if odd.any() and _few(odd):
        told = f"the accepted drafts of round {rounds.index[odd][0]:,} don't follow one another"
        yield of_counts(told, rounds.index[odd])


def _unheard_of(columns: Columns) -> Iterator[Contradiction]:
    """Look for drafts the target gave a probability to, beyond the vocabulary it is said to have.

    Of a committed token an engine may say so: what it drew from was no law.
    """
    facts = columns.header.target if columns.header is not None else None
    if facts is None:
        return
    places = columns.places
    odd = (places.token >= facts.vocabulary) & (places.target_prob > 0)
    if odd.any():
        told = (
            f"the target is said to know {facts.vocabulary:,} tokens, and it gave a probability to "
            f"token {places.token[odd][0]:,}"
        )
        yield of_counts(told, np.unique(places.round[odd]))


def _miswritten(columns: Columns) -> Iterator[Contradiction]:
    """Look for the one committed id of a capture that can't be right, in a round of right length.

    A bug may leave it, and so may a changed digit. Two such ids are no accident.
    """
    rounds = columns.rounds
    if len(rounds) <= FEWEST:
        return
    row = np.repeat(np.arange(len(rounds)), rounds.emitted)
    came, wanted = columns.emitted.token, _accepted_at(columns)
    other = (wanted != NO_TOKEN) & (came != wanted)
    facts = columns.header.target if columns.header is not None else None
    foreign = (came < 0) | (came >= facts.vocabulary) if facts else np.zeros_like(other)
    wrong = other | foreign
    if wrong.sum() != 1:
        return
    at = int(wrong.argmax())
    if not _right_length(columns)[row[at]]:  # more is wrong with it than one id
        return
    told = f"round {rounds.index[row[at]]:,} alone commits token {came[at]}"
    told += f" where it accepted {wanted[at]}" if other[at] else ", which is none of the target's"
    yield of_counts(
        f"{told}: a damaged file leaves that, and so does a bug", rounds.index[row[at : at + 1]]
    )


def _accepted_at(columns: Columns) -> Ints:
    """Return the draft that was accepted for each committed id, [ids]; NO_TOKEN where none was."""
    rounds, places = columns.rounds, columns.places
    wanted = np.full(len(columns.emitted), NO_TOKEN, np.int64)
    starts = rounds.emitted.cumsum() - rounds.emitted
    stood = places.where(places.accepted)
    row = np.searchsorted(rounds.index, stood.round)
    inside = stood.index < rounds.emitted[row]
    wanted[(starts[row] + stood.index)[inside]] = stood.token[inside]
    return wanted


def _right_length(columns: Columns) -> Bools:
    """Return whether a round commits its accepted drafts and one more, [rounds].

    The last of a burst may commit fewer.
    """
    rounds, order = columns.rounds, columns.burst_order
    closes = np.ones(len(rounds), np.bool_)
    closes[order[:-1][rounds.burst[order][1:] == rounds.burst[order][:-1]]] = False
    surplus = rounds.emitted - rounds.accepted - 1
    return np.asarray((surplus == 0) | (closes & (surplus < 0)))


def _few(odd: Bools) -> bool:
    return bool(odd.sum() <= max(1, LONE * len(odd)))


def _batch(columns: Columns) -> int:
    return columns.header.spec.settings.batch if columns.header is not None else 1
