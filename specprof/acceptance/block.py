"""A whole block is judged jointly: at least as many tokens stand as one by one; lossless."""

from typing import ClassVar

import torch

from specprof.acceptance.rejection import Rejection
from specprof.engine.sampling import laws_drafted_from
from specprof.extend import Law, Proposal


class Block(Rejection):
    """Block verification (Sun et al., arXiv 2403.10444; theory 2.10); chains only.

    A token that came out too likely pays for a later one that did not, so that more of the block
    stands in the mean than under token-by-token rejection, whose ratios it multiplies. What a token
    is owed by itself is rejection's; a block as a whole is owed no less.
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

        A correction is drawn from max(kept * target - draft, 0) where `kept` is the share of the
        prefix's mass that may be kept; a bonus from the target.
        """
        target_probs, tokens = law.probs(target_logits), proposal.tokens  # [K+1, vocab], [K]
        laws = laws_drafted_from(proposal, target_probs)  # [K+1, vocab]
        kept = _kept(target_probs[:-1], laws[:-1], tokens)  # [K+1]
        residual = (kept[:, None] * target_probs - laws).clamp_min(0)  # [K+1, vocab]
        coins = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        passes = coins < _chances(kept, residual)  # [K]
        lengths = torch.arange(1, len(tokens) + 1, device=tokens.device)
        longest = torch.cat([lengths.new_zeros(1), lengths * passes]).amax(0, keepdim=True)  # [1]
        weights = residual.index_select(0, longest)
        # Two equal laws leave no residual but rounding; no prefix ends there by chance either.
        weights = torch.where(weights.sum() > 0, weights, target_probs.index_select(0, longest))
        return torch.cat([longest - 1, law.draw(weights, generator)])

    def owed_each(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return [K]: the chance that each of a block's tokens stands, given all of the block.

        Given, too, that those before it stand: the chance that a prefix at least as long passes,
        as a share of the same for one token less.
        """
        kept = _kept(target_probs, draft_probs, tokens)
        residual = (kept[:-1, None] * target_probs - draft_probs).clamp_min(0)
        fails = 1 - _chances(kept, residual)  # [K]
        stands = 1 - fails.flip(0).cumprod(0).flip(0)  # [K] some prefix at least this long passes
        before = torch.cat([torch.ones_like(stands[:1]), stands[:-1]])
        return torch.where(before > 0, stands / before, 0.0)


def _kept(
    target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Return [K+1] the share of each prefix's mass that may be kept: min(1, last * ratio).

    `target_probs` and `draft_probs` are [K, vocab]; of the empty prefix all may be kept.
    """
    ratio = (target_probs.gather(1, tokens[:, None]) / draft_probs.gather(1, tokens[:, None]))[:, 0]
    kept = [target_probs.new_ones(())]
    for step in ratio.unbind():
        kept.append((kept[-1] * step).clamp_max(1.0))
    return torch.stack(kept)


def _chances(kept: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Return [K] the chance with which each prefix passes, the longest with what is kept of it.

    `kept` is [K+1]; `residual` [K or K+1, vocab] is max(kept * target - draft, 0) after each.
    """
    spare = residual[1 : len(kept) - 1].sum(-1)  # [K-1]
    lost = 1 - kept[1:-1]
    # Nothing spare and nothing lost: the laws after it are equal, and a longer prefix passes.
    chance = torch.where(spare + lost > 0, spare / (spare + lost), 1.0)
    return torch.cat([chance, kept[-1:]])
