"""The first drafted token of a round is accepted without a check.

Seen in
    ohdearquant/lattice#243, ohdearquant/lattice#258: the drafts were fed without the token before
    them, and each answer was compared with the draft after it.

Breaks
    The first token of a chain is always accepted. The others are judged rightly.

Shows
    Draft index 0 is always accepted, whatever its ratio. Later indices are accepted as often as
    their ratios allow.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, replace_decide


class FirstDraftUnchecked(Fault):
    """Judges a chain from its second token on."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Accept every first token."""
        return replace_decide(run, lambda _: BrokenStep().decide)


class BrokenStep(Step):
    """Accepts the first token whatever its coin."""

    def accepts(
        self, coins: torch.Tensor, target_prob: torch.Tensor, draft_prob: torch.Tensor
    ) -> torch.Tensor:
        """Return [K, 1] bool: True for the first token, the rule's own answers for the others."""
        fair = super().accepts(coins, target_prob, draft_prob)
        return torch.cat([torch.ones_like(fair[:1]), fair[1:]])
