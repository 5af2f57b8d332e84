"""Greedy text against the target's clean first choices: bugs, and ties that noise decides.

Two sources. The row the run acted on: the correction or bonus is its first choice or is not, which
is exact. The clean row of the recheck: a committed token may fall short of its largest logit by as
much as rounding moves logits, which is measured on this very run, by how far used and clean rows
part (theory 4.1).
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats, Ints
from specprof.errors import MissingEvidence

REACH = 20.0
"""A row whose law moved by a total variation of d has logits moved by some multiple of d: the
less of its mass there is to move, the larger. This many times covers all but lost causes."""
TYPICAL = 0.99
"""Quantile of the gaps that stands for the noise: beyond it a state may be astray."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Every rescored token of a greedy run; arrays of one length."""

    round: Ints
    slot: Ints
    context: Ints
    kind: Ints
    """0 an accepted draft, 1 a correction, 2 a bonus."""
    shortfall: Floats
    """Logits from the first choice: 0 where it is the first choice."""
    astray: Bools
    """Whether the row's state is wrong by more than rounding: another rule's matter."""
    noise: float
    """Largest difference of two logits that rounding explains in this run."""

    @property
    def differs(self) -> Bools:
        """Where the committed token is not the first choice."""
        return self.shortfall > 0

    @property
    def wrong(self) -> Bools:
        """Where noise does not excuse that."""
        return (self.shortfall > self.noise) & ~self.astray


def choices(evidence: Evidence) -> Choices:
    """Return the committed tokens of a greedy run as the clean target sees them."""
    tokens, floor = evidence.rescored, evidence.ask(attribution.noise)
    if not len(tokens):
        hint = "record a new run, with --recheck-context at least its context"
        raise MissingEvidence("no committed token was scored without a cache", hint)
    row, gap = evidence.row(tokens.round), tokens.target_gap
    accepted = evidence.rounds.accepted[row]
    final = np.where(evidence.rejected[row], 1, 2)
    known = gap[gap <= floor.probability]
    usual = float(np.quantile(known, TYPICAL)) if len(known) else floor.margin / REACH
    return Choices(
        round=tokens.round,
        slot=tokens.slot,
        context=evidence.rounds.context[row] + tokens.slot,
        kind=np.where(tokens.slot < accepted, 0, final),
        shortfall=tokens.shortfall,
        astray=gap > floor.probability,
        # No finer than the floor of the type: logits are told to five digits.
        noise=max(REACH * usual, floor.margin / 10),
    )
