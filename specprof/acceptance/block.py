"""A whole block is judged at once: it keeps at least as many tokens as rejection; lossless."""

from typing import ClassVar

import torch

from specprof.acceptance.rejection import Rejection
from specprof.engine.sampling import laws_drafted_from
from specprof.extend import Law, Proposal


class Block(Rejection):
    """Block verification (Sun et al., arXiv 2403.10444; theory 2.10); chains only.

    The ratios of token-by-token rejection are multiplied along the block, so a token with a high
    ratio makes up for an earlier one with a low ratio. In the mean more tokens of a block stand
    than under rejection. A single token is owed what rejection owes it; a block is owed no less.
    """

    trees: ClassVar[bool] = False
    joint: ClassVar[bool] = True

    @torch.inference_mode()
    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2]: the end of the longest prefix that passes, and the correction or bonus.

        A correction is drawn from max(kept * target - draft, 0), where `kept` is the share of the
        prefix's mass that may be kept. A bonus is drawn from the target.
        """
        target_probs, tokens = law.probs(target_logits), proposal.tokens  # [K+1, vocab], [K]
        laws = laws_drafted_from(proposal, target_probs)  # [K+1, vocab]
        kept = _kept_shares(target_probs[:-1], laws[:-1], tokens)  # [K+1]
        residual = (kept[:, None] * target_probs - laws).clamp_min(0)  # [K+1, vocab]
        coins = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        passes = coins < _pass_chances(kept, residual)  # [K]
        lengths = torch.arange(1, len(tokens) + 1, device=tokens.device)
        longest = torch.cat([lengths.new_zeros(1), lengths * passes]).amax(0, keepdim=True)  # [1]
        weights = residual.index_select(0, longest)
        # Two equal laws leave no residual; only rounding can end a prefix there.
        weights = torch.where(weights.sum() > 0, weights, target_probs.index_select(0, longest))
        return torch.cat([longest - 1, law.draw(weights, generator)])

    def owed_each(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return [K]: the chance that each token stands, given the block and that those before do.

        It is the chance that a prefix of at least this length passes, divided by that chance for
        one token less.
        """
        kept = _kept_shares(target_probs, draft_probs, tokens)
        residual = (kept[:-1, None] * target_probs - draft_probs).clamp_min(0)
        fails = 1 - _pass_chances(kept, residual)  # [K]
        stands = 1 - fails.flip(0).cumprod(0).flip(0)  # [K] some prefix at least this long passes
        before = torch.cat([torch.ones_like(stands[:1]), stands[:-1]])
        return torch.where(before > 0, stands / before, 0.0)


def _kept_shares(
    target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Return [K+1] the share of each prefix's mass that may be kept: min(1, last * ratio).

    `target_probs` and `draft_probs` are [K, vocab]; the empty prefix keeps all.
    """
    ratio = (target_probs.gather(1, tokens[:, None]) / draft_probs.gather(1, tokens[:, None]))[:, 0]
    kept = [target_probs.new_ones(())]
    for step in ratio.unbind():
        kept.append((kept[-1] * step).clamp_max(1.0))
    return torch.stack(kept)


def _pass_chances(kept: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Return [K] the chance that each prefix passes; for the longest it is its kept share.

    `kept` is [K+1]; `residual` [K or K+1, vocab] is max(kept * target - draft, 0) after each.
    """
    spare = residual[1 : len(kept) - 1].sum(-1)  # [K-1]
    lost = 1 - kept[1:-1]
    # Nothing spare and nothing lost: the laws after it are equal, and a longer prefix passes.
    chance = torch.where(spare + lost > 0, spare / (spare + lost), 1.0)
    return torch.cat([chance, kept[-1:]])
