"""Greedy text against the target's clean first choices: bugs, and ties that rounding decides.

Compares every committed token with the clean row of the recheck. Its logit may lie below the row's
largest logit by as much as rounding moves logits. This run's own rows measure that noise: the gap
between the row as used and the clean row (theory 4.1).
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats, Ints
from specprof.errors import MissingEvidence

LOGITS_PER_GAP = 20.0
"""Logits per unit of total variation. A row whose law moved by d has logits that moved by some
multiple of d, and by a larger multiple where little mass can move. This factor covers nearly all
rows."""
NOISE_QUANTILE = 0.99
"""Quantile of the gaps that measures the noise: a larger gap may be a wrong state."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Every rescored token of a greedy run; arrays of one length."""

    round: Ints
    slot: Ints
    context: Ints
    kind: Ints
    """0 an accepted draft, 1 a correction, 2 a bonus."""
    shortfall: Floats
    """The first choice's logit less the token's: 0 where the token is the first choice."""
    astray: Bools
    """Whether the row's state is wrong by more than rounding, which another rule reports."""
    noise: float
    """Largest difference of two logits that rounding explains in this run."""

    @property
    def differs(self) -> Bools:
        """Where the committed token is not the first choice."""
        return self.shortfall > 0

    @property
    def wrong(self) -> Bools:
        """Where the token is not the first choice and noise does not explain it."""
        return (self.shortfall > self.noise) & ~self.astray


@dataclass(frozen=True, slots=True)
class Divergences:
    """The first place of each burst at which its text leaves plain greedy text.

    Behind it the two texts have different prefixes, and can't be compared token by token. Arrays
    are [bursts that diverge].
    """

    tokens: Ints
    """Tokens of the burst before it."""
    shortfall: Floats
    """The first choice's logit less the token's. Where the token is the second choice, that is the
    gap between the two largest logits."""
    bursts: int
    """How many bursts were rescored."""


def divergences(evidence: Evidence, found: Choices) -> Divergences:
    """Return where each burst first differs from the target's first choices."""
    rounds = evidence.rounds
    burst = rounds.burst[evidence.row(found.round)]
    rows = np.flatnonzero(found.differs)
    rows = rows[np.lexsort((found.context[rows], burst[rows]))]
    diverging, first = np.unique(burst[rows], return_index=True)
    numbers, start = np.unique(rounds.burst, return_index=True)
    begun = rounds.context[start][np.searchsorted(numbers, diverging)]
    at = rows[first]
    return Divergences(found.context[at] - begun, found.shortfall[at], len(np.unique(burst)))


def choices(evidence: Evidence) -> Choices:
    """Return the committed tokens of a greedy run, judged by the clean target."""
    tokens, floor = evidence.rescored, evidence.ask(attribution.noise)
    if not len(tokens):
        hint = "record a new run, with --recheck-context at least its context"
        raise MissingEvidence("no committed token was scored without a cache", hint)
    row, gap = evidence.row(tokens.round), tokens.target_gap
    accepted = evidence.rounds.accepted[row]
    final = np.where(evidence.rejected[row], 1, 2)
    known = gap[gap <= floor.probability]
    usual = (
        float(np.quantile(known, NOISE_QUANTILE)) if len(known) else floor.margin / LOGITS_PER_GAP
    )
    return Choices(
        round=tokens.round,
        slot=tokens.slot,
        context=evidence.rounds.context[row] + tokens.slot,
        kind=np.where(tokens.slot < accepted, 0, final),
        shortfall=tokens.shortfall,
        astray=gap > floor.probability,
        # At least a tenth of the data type's floor: logits are recorded with five digits.
        noise=max(LOGITS_PER_GAP * usual, floor.margin / 10),
    )
