"""The coin that turned a token down also draws the one in its place.

Seen in
    vllm-project/vllm-ascend#16370.

Breaks
    The correction is the residual's inverse cumulated law, in the order of ids, at the accept
    step's own coin: given a rejection that coin is no longer uniform but above the ratio.

Shows
    Corrections lie high in the cumulated residual, uniform though they should be; every rate and
    every likelihood is as it should be.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._accept import Step, deciding


class AcceptUniformReused(Fault):
    """One uniform number for two draws."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw corrections by inverse transform at the coin they fell by."""
        return deciding(run, lambda _: Broken().decide)


class Broken(Step):
    """A bonus, before which no coin fell, has one of its own."""

    def final(
        self,
        target_probs: torch.Tensor,
        draft_probs: torch.Tensor,
        coin: torch.Tensor,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [1] the first token at which the cumulated residual exceeds the coin."""
        del law, generator
        mass = self.residual(target_probs, draft_probs).cumsum(-1)  # [1, vocab]
        return torch.searchsorted(mass, coin * mass[:, -1:], right=True)[:, 0].clamp_max(
            mass.shape[1] - 1
        )
