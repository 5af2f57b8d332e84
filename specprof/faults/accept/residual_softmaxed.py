"""The residual goes through a softmax, which gives every token some probability.

Seen in
    huggingface/transformers#28508: the clamped difference was normalised by the wrong function.

Breaks
    Corrections are drawn from softmax(max(target - draft, 0)), nearly uniform over the vocabulary.

Shows
    Acceptance is right. Most corrections are tokens that the draft finds likelier than the target
    does, and they are far less likely under the target than its own draws would be.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, replace_decide


class ResidualSoftmaxed(Fault):
    """Takes differences of probabilities for logits."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Put the residual of every correction through a softmax."""
        return replace_decide(run, lambda _: BrokenStep().decide)


class BrokenStep(Step):
    """Breaks corrections alone: a bonus has nothing to subtract, and is drawn rightly."""

    def residual_weights(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor
    ) -> torch.Tensor:
        """Return [1, vocab] weights, none of them 0."""
        left = super().residual_weights(target_probs, draft_probs)
        return torch.where(draft_probs.sum() > 0, left.softmax(-1), left)
