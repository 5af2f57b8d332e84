"""A drafted token stands if the target draws that same token there; lossless."""

import torch

from specprof.engine.tree import follow
from specprof.extend import Acceptance, Law, Proposal


class ExactMatch(Acceptance):
    """Sample and match (theory 2.4): draws as plain decoding does; drafts only save forwards.

    It accepts less than rejection: the sum of target * draft is at most the sum of minima. A draft
    with the target's own law is still rejected whenever the two draws differ.
    """

    trees = True

    @torch.inference_mode()
    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2]: the last drafted token that was drawn, and the token drawn after it."""
        drawn = law.draw(law.probs(target_logits), generator)  # [N+1]
        if proposal.parents is not None:
            return follow(drawn, proposal.tokens, proposal.parents)
        accepted = (drawn[:-1] == proposal.tokens).cumprod(0).sum(0, keepdim=True)  # [1]
        return torch.cat([accepted - 1, drawn.gather(0, accepted)])

    def owed(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [K]: the chance that two independent draws agree, sum of target * draft."""
        return (target_probs * draft_probs).sum(-1)

    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return the target's probability of the token; the draft's doesn't matter."""
        del draft_prob
        return target_prob
