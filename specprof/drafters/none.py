"""Drafts nothing: plain autoregressive decoding, the baseline of every comparison."""

from typing import ClassVar

from specprof.engine.drafting import empty_proposal
from specprof.extend import Drafter, Proposal


class NoDrafter(Drafter):
    """One token a round, by the target alone."""

    distribution: ClassVar[bool] = False

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Return an empty chain."""
        del committed, depth
        return empty_proposal(self.parts.target.device)
