"""After a rejection the next token is drawn from the target's whole distribution.

Seen in
    Asked about in NJUNLP/MCSD#5, where the code was right; no thread was found that has it.

Breaks
    The draft's distribution is not subtracted before the correction is drawn.

Shows
    Now and then the rejected token itself is emitted as the correction. Corrections fall on tokens
    that the draft finds likelier than the target does. Acceptance is right.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, replace_decide


class ResidualNotSubtracted(Fault):
    """Makes the correction a plain draw."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw every correction as if it were a bonus."""
        return replace_decide(run, lambda _: BrokenStep().decide)


class BrokenStep(Step):
    """Leaves the draft's law out."""

    def residual_weights(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor
    ) -> torch.Tensor:
        """Return [1, vocab] the target's probabilities, unchanged."""
        del draft_probs
        return target_probs
