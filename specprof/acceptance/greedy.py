"""A drafted token stands if it is the target's first choice, as in plain greedy decoding."""

import torch

from specprof.engine.tree import follow
from specprof.extend import Acceptance, Law, Proposal


class Greedy(Acceptance):
    """Greedy verification (theory 2.2); ties go to the lowest token id, as argmax has it."""

    trees = True

    @torch.inference_mode()
    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2]: the last drafted token that stands, and the first choice after it."""
        del law, generator
        best = target_logits.argmax(-1)  # [N+1]
        if proposal.parents is None:
            accepted = (best[:-1] == proposal.tokens).cumprod(0).sum(0, keepdim=True)  # [1]
            return torch.cat([accepted - 1, best.gather(0, accepted)])
        return follow(best, proposal.tokens, proposal.parents)

    def owed(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [K]: 1 where both first choices agree, else 0."""
        return (target_probs.argmax(-1) == draft_probs.argmax(-1)).float()

    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return the drafted token's own probability, 0 or 1 under a greedy law."""
        del draft_prob
        return target_prob
