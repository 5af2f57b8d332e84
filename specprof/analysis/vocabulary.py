"""Whether rejected ids and those committed in their place are the same pairs again and again.

A weak draft confuses a word with many; a draft of another vocabulary says each of its words by one
wrong id. Pairs are counted over rejections whose correction is known.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import emitted_law
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Ints, among

OFTEN = 4
"""Rejections of one id that can show a habit."""
MOSTLY = 0.5
SELDOM = 0.1
"""Share of a pair's id that is accepted at most."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Ids that stand for one other id each."""

    pairs: int
    held: int
    """Rejections of these ids that their partner took the place of."""
    rejected: int
    """All rejections whose correction is known."""


def exchanged(evidence: Evidence) -> Exchanged:
    """Count the rejected ids whose correction is mostly one id, which mostly corrects only them."""
    reached = evidence.reached
    fallen = reached.where(reached.settles() & ~reached.accepted)
    row = evidence.row(fallen.round)
    whole = evidence.rounds.emitted[row] == evidence.rounds.accepted[row] + 1
    drafted, instead = fallen.token[whole], emitted_law.last_tokens(evidence)[row[whole]]
    stood = reached.token[reached.accepted]
    ids, numbers = np.unique(np.concatenate([drafted, instead]), return_inverse=True)
    n, (fell, came) = len(ids), numbers.reshape(2, -1)
    both, times = np.unique(fell * n + came, return_counts=True)
    fell, came = np.divmod(both, max(n, 1))
    count = np.bincount(fell, weights=times, minlength=n)
    mostly, held = _commonest(fell, came, times, n)
    back, _ = _commonest(came, fell, times, n)
    stands = np.bincount(np.searchsorted(ids, stood[among(stood, ids)]), minlength=n)
    pairs = (count >= OFTEN) & (stands <= SELDOM * count) & (back[mostly] == np.arange(n))
    pairs &= held >= np.maximum(MOSTLY * count, 2)
    return Exchanged(pairs=int(pairs.sum()), held=int(held[pairs].sum()), rejected=len(drafted))


def _commonest(of: Ints, with_: Ints, times: Ints, n: int) -> tuple[Ints, Ints]:
    """Return what came oftenest with each of `n` ids, and how often, [n]; 0 times: with none.

    `times` says how often each pair was seen, [pairs].
    """
    order = np.lexsort((-with_, times, of))  # the last of an id's is its commonest, the least id
    found, often = np.zeros(n, np.int64), np.zeros(n, np.int64)
    found[of[order]], often[of[order]] = with_[order], times[order]
    return found, often
