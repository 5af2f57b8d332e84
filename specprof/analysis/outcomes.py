"""What a round may leave behind, as the event before the next round.

An outcome needs what its name says: a round that drafted nothing has neither rejected a draft nor
accepted all drafts.
"""

import numpy as np

from specprof.analysis.tables import Bools, Ints, Rounds

FIRST, REJECTION, ALL_ACCEPTED, MISSING, IDLE, UNDONE, UNJUDGED = range(7)
"""Codes of the event before a round, in the order of `EVENTS_BEFORE`."""
EVENTS_BEFORE = (
    "in a burst's first round",
    "after a rejection",
    "after an all-accepted round",
    "after a round that is missing",
    "after a round that drafted nothing",
    "after a round that committed nothing",
    "after a round that judged no draft",
)


def code_outcomes(rounds: Rounds, rejected: Bools) -> Ints:
    """Return the code of what each round leaves for the next one, [rounds]."""
    outcomes = [
        (REJECTION, rejected),
        (ALL_ACCEPTED, rounds.accepted > 0),
        (UNDONE, rounds.emitted == 0),
        (IDLE, rounds.drafted == 0),
    ]
    codes, holds = zip(*outcomes, strict=True)
    return np.asarray(np.select(list(holds), list(codes), UNJUDGED), np.int64)
