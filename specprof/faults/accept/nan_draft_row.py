"""One draft logit is NaN, and so its whole row of probabilities becomes NaN.

Seen in
    vllm-project/vllm#41834, #53029, #45060: token 0 leaks into the text.

Breaks
    In every eighth round the accept step's copy of the first draft row is NaN. No comparison with
    NaN holds, so the draft is rejected, and the residual is taken for zeros.

Shows
    Now and then the correction at index 0 is token 0, to which the target gives almost no
    probability.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law, Proposal
from specprof.faults._accept import Step, replace_decide

ROUND_INTERVAL = 8
"""Rounds from one NaN row to the next."""


class NanDraftRow(Fault):
    """Leaves unchecked whether a row is finite."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Spoil a row of probabilities in every eighth round."""
        return replace_decide(run, lambda _: BrokenStep().decide)


class BrokenStep(Step):
    """Counts its rounds, and spoils every eighth."""

    def __init__(self) -> None:
        self.rounds = count(1)

    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`, from probabilities that may hold a row of NaN."""
        if next(self.rounds) % ROUND_INTERVAL == 0 and proposal.draft_probs is not None:
            spoilt = proposal.draft_probs.clone()
            spoilt[0] = torch.nan
            proposal = replace(proposal, draft_probs=spoilt)
        return super().decide(target_logits, proposal, law, generator)

    def residual_weights(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor
    ) -> torch.Tensor:
        """Return [1, vocab] weights, all zero if the draft's row is NaN."""
        fair = super().residual_weights(target_probs, draft_probs)
        return torch.where(draft_probs.isnan().any(), torch.zeros_like(fair), fair)
