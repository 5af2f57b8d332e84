"""Target forwards beyond one for each round that commits, and the time that they take.

There are two kinds: a second forward of one round, and a round that is undone, because the next one
verifies the same again. Knows counts and times, not whether the text is right.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis.contention import is_contended
from specprof.analysis.cost_model import costs
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Rounds
from specprof.errors import MissingEvidence

MIN_TIMED_ROUNDS = 10
"""On each side, for their median times to be compared."""


@dataclass(frozen=True, slots=True)
class ExtraForwards:
    """The rounds that drafted, and which of them take another forward; arrays are [rounds]."""

    rounds: Rounds
    twice: Bools
    """Whether the round runs the target more than once."""
    undone: Bools
    """Whether it is undone, so that the next one verifies the same again."""
    ms: float | None
    """Milliseconds per committing round that extra forwards take; None: not known, or measured on a
    machine so busy that no time can be trusted."""

    @property
    def either(self) -> Bools:
        """Whether the round takes a forward too many."""
        return self.twice | self.undone

    @property
    def committing(self) -> int:
        """Rounds that commit something, at least 1."""
        return _count_committing(self.undone)

    @property
    def per_round(self) -> float:
        """Target forwards per round that commits."""
        return float(self.rounds.target_forwards.sum()) / self.committing


def extra_forwards(evidence: Evidence) -> ExtraForwards:
    """Return the extra forwards of the rounds that drafted."""
    rounds = evidence.speculative
    twice = rounds.target_forwards > 1
    undone = evidence.replays.undone[evidence.rounds.drafted > 0]
    timed = bool((twice | undone).any()) and not is_contended(evidence)
    spent_ns = _spent_ns(evidence, twice, undone) if timed else None
    return ExtraForwards(
        rounds, twice, undone, spent_ns / _count_committing(undone) / 1e6 if spent_ns else None
    )


def _count_committing(undone: Bools) -> int:
    return max(int((~undone).sum()), 1)


def _spent_ns(evidence: Evidence, twice: Bools, undone: Bools) -> float | None:
    """Return the time of all extra forwards; None where it can't be separated from the others'.

    Rounds with a second forward are compared with the others by their median times. Where all have
    one, the verify span is divided evenly.
    """
    try:
        wall = evidence.timed.wall_ns[evidence.rounds.drafted > 0].astype(float)
        if twice.all():
            return evidence.ask(costs).extra_ns * len(twice)
    except MissingEvidence:
        return None
    spent = float(wall[undone].sum())
    second, plain = twice & ~undone, ~(twice | undone)
    if not second.any():
        return spent
    if min(second.sum(), plain.sum()) < MIN_TIMED_ROUNDS:
        return None
    longer = float(np.median(wall[second]) - np.median(wall[plain]))
    return spent + longer * float(second.sum()) if longer > 0 else None
