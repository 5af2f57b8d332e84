"""A drafted token stands with probability min(1, target/draft); the output has the target's law."""

import torch

from specprof.extend import Acceptance, Law, Proposal


class Rejection(Acceptance):
    """Speculative sampling (Leviathan et al., arXiv 2211.17192, algorithm 1)."""

    @torch.inference_mode()
    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2]: the last drafted token that stands, and the correction or bonus.

        A correction is drawn from the residual max(target - draft, 0), a bonus from the target.
        """
        tokens = proposal.tokens[:, None]  # [K, 1]
        target_probs = law.probs(target_logits)  # [K+1, vocab]
        draft_probs = self._draft_probs(proposal, target_probs)  # [K+1, vocab]
        coins = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        owed = target_probs[:-1].gather(1, tokens)
        stands = coins * draft_probs[:-1].gather(1, tokens) < owed  # [K, 1]
        accepted = stands.cumprod(0).sum(0)  # [1]
        target_row = target_probs.index_select(0, accepted)  # [1, vocab]
        residual = (target_row - draft_probs.index_select(0, accepted)).clamp_min(0)
        # Two equal laws leave no residual but rounding; their rejection never happens either.
        weights = torch.where(residual.sum() > 0, residual, target_row)
        return torch.cat([accepted - 1, law.draw(weights, generator)])

    def owed(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [K]: one minus the total variation of the two laws."""
        return torch.minimum(target_probs, draft_probs).sum(-1)

    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return min(1, target/draft); a token its own law gives no mass owes all it can get."""
        return min(1.0, target_prob / draft_prob) if draft_prob > 0 else float(target_prob > 0)

    @staticmethod
    def _draft_probs(proposal: Proposal, target_probs: torch.Tensor) -> torch.Tensor:
        """Return [K+1, vocab] the laws drafted from; the last row, the bonus', is all zero."""
        laws = torch.zeros_like(target_probs)
        if proposal.draft_probs is None:  # deterministic: all mass on the drafted token
            laws[:-1].scatter_(1, proposal.tokens[:, None], 1.0)
        else:
            laws[:-1] = proposal.draft_probs
        return laws
