"""One draft logit that is no number takes its whole row of probabilities with it.

Seen in
    vllm-project/vllm#41834, #53029, #45060: token 0 leaks into the text.

Breaks
    In every eighth round the accept step's copy of the first draft row is NaN. No comparison with
    it holds, so that the draft falls; the residual it leaves is taken for zeros.

Shows
    Now and then the correction at index 0 is token 0, which the target gives next to nothing.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law, Proposal
from specprof.faults._accept import Step, deciding

EVERY = 8
"""Rounds from one such row to the next."""


class NanDraftRow(Fault):
    """Nobody looks whether a row is finite."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Spoil a row of the laws, once in a while."""
        return deciding(run, lambda _: Broken().decide)


class Broken(Step):
    """Counts its rounds."""

    def __init__(self) -> None:
        self.rounds = count(1)

    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`, from laws that may hold a row without numbers."""
        if next(self.rounds) % EVERY == 0 and proposal.draft_probs is not None:
            spoilt = proposal.draft_probs.clone()
            spoilt[0] = torch.nan
            proposal = replace(proposal, draft_probs=spoilt)
        return super().decide(target_logits, proposal, law, generator)

    def residual(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [1, vocab] weights, all zero where the draft's law was no number."""
        fair = super().residual(target_probs, draft_probs)
        return torch.where(draft_probs.isnan().any(), torch.zeros_like(fair), fair)
