"""Whether the same pairs of a rejected id and its correction come again and again.

A weak draft confuses a word with many words. A draft of another vocabulary uses one wrong id for
each word. Pairs are counted over rejections whose correction is known.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import emitted_law
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Ints, among

MIN_REJECTIONS = 4
"""Rejections of one id that a pair needs."""
MIN_PARTNER_SHARE = 0.5
"""Share of an id's rejections whose correction is its partner, at least."""
MAX_ACCEPTED_SHARE = 0.1
"""An id's acceptances / its rejections, at most."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Rejected ids that each have one partner id as their correction."""

    pairs: int
    held: int
    """Rejections of these ids whose correction is the partner."""
    rejected: int
    """All rejections whose correction is known."""


def count_exchanged_ids(evidence: Evidence) -> Exchanged:
    """Count the rejected ids whose correction is mostly one id that mostly corrects only them."""
    reached = evidence.reached
    fallen = reached.where(reached.settles() & ~reached.accepted)
    row = evidence.row(fallen.round)
    whole = evidence.rounds.emitted[row] == evidence.rounds.accepted[row] + 1
    drafted, instead = fallen.token[whole], emitted_law.last_tokens(evidence)[row[whole]]
    if evidence.greedy:  # of one prompt, asked again, all comes again: it is no further evidence
        same = np.stack([fallen.context[whole], drafted, instead])
        drafted, instead = np.unique(same, axis=1)[1:]
    stood = reached.token[reached.accepted]
    ids, numbers = np.unique(np.concatenate([drafted, instead]), return_inverse=True)
    n, (fell, came) = len(ids), numbers.reshape(2, -1)
    both, times = np.unique(fell * n + came, return_counts=True)
    fell, came = np.divmod(both, max(n, 1))
    count = np.bincount(fell, weights=times, minlength=n)
    mostly, held = _commonest(fell, came, times, n)
    back, _ = _commonest(came, fell, times, n)
    stands = np.bincount(np.searchsorted(ids, stood[among(stood, ids)]), minlength=n)
    pairs = (
        (count >= MIN_REJECTIONS)
        & (stands <= MAX_ACCEPTED_SHARE * count)
        & (back[mostly] == np.arange(n))
    )
    pairs &= held >= np.maximum(MIN_PARTNER_SHARE * count, 2)
    return Exchanged(pairs=int(pairs.sum()), held=int(held[pairs].sum()), rejected=len(drafted))


def _commonest(of: Ints, with_: Ints, times: Ints, n: int) -> tuple[Ints, Ints]:
    """Return each of `n` ids' commonest partner, and how often it came, [n]; 0 times: no partner.

    `of` and `with_` are the pairs' ids; `times` says how often each pair came, [pairs].
    """
    order = np.lexsort((-with_, times, of))  # an id's last row is its commonest, lowest partner
    found, often = np.zeros(n, np.int64), np.zeros(n, np.int64)
    found[of[order]], often[of[order]] = with_[order], times[order]
    return found, often
