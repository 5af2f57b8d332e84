"""The first drafted token of a round stands unseen.

Seen in
    ohdearquant/lattice#243, ohdearquant/lattice#258: the drafts were fed without the token before
    them, and each answer was held against the draft after it.

Breaks
    No coin is thrown for the first token of a chain; the others are judged as they should be.

Shows
    Draft index 0 is accepted always, whatever it is owed; later indices get what they are owed.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, deciding


class FirstDraftUnchecked(Fault):
    """Judging begins with the second token."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let every first token through."""
        return deciding(run, lambda _: Broken().decide)


class Broken(Step):
    """Nothing is asked of the first token."""

    def stands(self, coins: torch.Tensor, owed: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return [K, 1]: the rule's own answers but for the first."""
        fair = super().stands(coins, owed, own)
        return torch.cat([torch.ones_like(fair[:1]), fair[1:]])
