"""After a rejection the next token is drawn from the target's whole law.

Seen in
    Asked about in NJUNLP/MCSD#5, where the code was right; no thread was found that has it.

Breaks
    Nothing of the draft's law is subtracted before the correction is drawn.

Shows
    The very token that was rejected is emitted in its own place now and then, and corrections fall
    on tokens that the draft likes better than the target; what stands is as it should be.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, deciding


class ResidualNotSubtracted(Fault):
    """The correction is a plain draw."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw every correction as if it were a bonus."""
        return deciding(run, lambda _: Broken().decide)


class Broken(Step):
    """The draft's law is left out."""

    def residual(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [1, vocab] the target's law as it is."""
        del draft_probs
        return target_probs
