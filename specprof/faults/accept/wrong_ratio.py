"""The accept ratio is inverted.

Seen in
    1bit-MONSTER/1bit-MONSTER#637: the ratio was of other probabilities than target and draft.

Breaks
    A token is accepted with probability min(1, draft/target) instead of min(1, target/draft).

Shows
    Tokens whose right ratio is below 1 are always accepted, and tokens with a ratio above 1 are
    often rejected. The mean acceptance may still look plausible.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, replace_decide


class WrongRatio(Fault):
    """Divides the draft's probability by the target's."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Invert the ratio."""
        return replace_decide(run, lambda _: BrokenStep().decide)


class BrokenStep(Step):
    """Exchanges the two probabilities."""

    def accepts(
        self, coins: torch.Tensor, target_prob: torch.Tensor, draft_prob: torch.Tensor
    ) -> torch.Tensor:
        """Return [K, 1] bool: whether each coin is below the inverse ratio."""
        return coins * target_prob < draft_prob
