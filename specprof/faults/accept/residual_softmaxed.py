"""The residual is put through a softmax, which gives every token some of it.

Seen in
    huggingface/transformers#28508: the clamped difference was normalised by the wrong function.

Breaks
    Corrections are drawn from softmax(max(target - draft, 0)), nearly uniform over the vocabulary.

Shows
    What stands is as it should be. Most corrections are tokens that the draft likes better than the
    target, and far less likely under the target than its own draws would be.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, deciding


class ResidualSoftmaxed(Fault):
    """Differences of probabilities are taken for logits."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Put the residual of every correction through a softmax."""
        return deciding(run, lambda _: Broken().decide)


class Broken(Step):
    """A bonus, with nothing to subtract, is drawn as it should be."""

    def residual(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [1, vocab] weights, none of them 0."""
        left = super().residual(target_probs, draft_probs)
        return torch.where(draft_probs.sum() > 0, left.softmax(-1), left)
