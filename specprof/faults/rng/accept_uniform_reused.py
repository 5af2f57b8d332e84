"""The random number that rejected a token also draws its correction.

Seen in
    vllm-project/vllm-ascend#16370.

Breaks
    The correction is drawn by inverse transform from the residual, cumulated in the order of ids,
    with the accept step's random number. After a rejection that number is not uniform: it is above
    the ratio.

Shows
    Corrections lie high in the cumulated residual, where they should be uniform. All rates and
    likelihoods are right.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._accept import Step, replace_decide


class AcceptUniformReused(Fault):
    """Uses one uniform number for two draws."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw each correction by inverse transform with the coin that rejected the token."""
        return replace_decide(run, lambda _: BrokenStep().decide)


class BrokenStep(Step):
    """Draws corrections with a used coin; a bonus has a coin of its own."""

    def draw_final(
        self,
        target_probs: torch.Tensor,
        draft_probs: torch.Tensor,
        coin: torch.Tensor,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [1] the first token at which the cumulated residual exceeds the coin."""
        del law, generator
        mass = self.residual_weights(target_probs, draft_probs).cumsum(-1)  # [1, vocab]
        return torch.searchsorted(mass, coin * mass[:, -1:], right=True)[:, 0].clamp_max(
            mass.shape[1] - 1
        )
