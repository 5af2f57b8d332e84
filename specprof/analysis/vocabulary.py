"""Whether rejected ids and those committed in their place are the same pairs again and again.

A weak draft confuses a word with many; a draft of another vocabulary says each of its words by one
wrong id. Pairs are counted over rejections whose correction is known.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import emission
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Ints

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
    drafted, instead = fallen.token[whole], emission.last_tokens(evidence)[row[whole]]
    stood = reached.token[reached.accepted]
    pairs = held = 0
    for token, count in zip(*np.unique(drafted, return_counts=True), strict=True):
        if count < OFTEN or (stood == token).sum() > SELDOM * count:
            continue
        partner, times = _commonest(instead[drafted == token])
        back, _ = _commonest(drafted[instead == partner])
        if back == token and times >= max(MOSTLY * count, 2):
            pairs, held = pairs + 1, held + times
    return Exchanged(pairs=pairs, held=held, rejected=len(drafted))


def _commonest(tokens: Ints) -> tuple[int, int]:
    """Return the id that occurs most, and how often."""
    ids, counts = np.unique(tokens, return_counts=True)
    return int(ids[counts.argmax()]), int(counts.max())
