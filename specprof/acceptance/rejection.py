"""A drafted token stands with probability min(1, target/draft); the output has the target's law."""

from typing import ClassVar

import torch

from specprof.engine.sampling import laws_drafted_from
from specprof.engine.tree import children, deepest
from specprof.extend import Acceptance, Law, Proposal


class Rejection(Acceptance):
    """Speculative sampling (Leviathan et al., arXiv 2211.17192, algorithm 1).

    Trees are judged by recursive rejection (arXiv 2402.14160): siblings in turn, each against what
    the rejection of its elders left of the target's law.
    """

    trees: ClassVar[bool] = True

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
        target_probs = law.probs(target_logits)  # [N+1, vocab]
        draft_probs = laws_drafted_from(proposal, target_probs)  # [N+1, vocab]
        walk = _chain if proposal.parents is None else _tree
        tip, weights = walk(target_probs, draft_probs, proposal, generator)
        return torch.cat([tip, law.draw(weights, generator)])

    def owed(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [K]: one minus the total variation of the two laws."""
        return torch.minimum(target_probs, draft_probs).sum(-1)

    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return min(1, target/draft); where the draft gives 0, return 1 if the target doesn't."""
        return min(1.0, target_prob / draft_prob) if draft_prob > 0 else float(target_prob > 0)

    def left(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return [places, vocab] the residual, which does not depend on the rejected token."""
        del tokens
        return (target_probs - draft_probs).relu()


def _chain(
    target_probs: torch.Tensor,
    draft_probs: torch.Tensor,
    proposal: Proposal,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [1] the last token that stands, and [1, vocab] the weights of what follows it."""
    tokens = proposal.tokens[:, None]  # [K, 1]
    coins = torch.rand(tokens.shape, generator=generator, device=tokens.device)
    owed = target_probs[:-1].gather(1, tokens)
    stands = coins * draft_probs[:-1].gather(1, tokens) < owed  # [K, 1]
    accepted = stands.cumprod(0).sum(0)  # [1]
    target_row = target_probs.index_select(0, accepted)  # [1, vocab]
    residual = (target_row - draft_probs.index_select(0, accepted)).clamp_min(0)
    # Two equal laws leave no residual; only rounding can reject there.
    return accepted - 1, torch.where(residual.sum() > 0, residual, target_row)


def _tree(
    target_probs: torch.Tensor,
    draft_probs: torch.Tensor,
    proposal: Proposal,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `_chain` does, for a tree: all families are judged at once, eldest first."""
    parents, count = proposal.parents, proposal.tokens.shape[0]
    assert parents is not None  # noqa: S101 - the caller asked
    tokens = torch.cat([proposal.tokens, proposal.tokens.new_zeros(1)])
    stands = torch.zeros_like(tokens, dtype=torch.bool)  # [N+1] whether its parent goes on to it
    going = stands  # [N+1] whether the chain's end, or a node, goes on to a child
    residual = target_probs  # [N+1, vocab] the target's law in force there
    for number in children(parents, proposal.family).unbind(1):
        child = number % (count + 1)  # [N+1]; a missing child takes the last row, without mass
        coins = torch.rand(child.shape, generator=generator, device=child.device)
        token, laws = tokens[child][:, None], draft_probs[child]
        fair = coins * laws.gather(1, token)[:, 0] < residual.gather(1, token)[:, 0]
        taken = fair & ~going & (number >= 0)
        stands, going = stands.scatter(0, child, taken), going | taken
        left = (residual - laws).clamp_min(0)
        mass = left.sum(1, keepdim=True)
        residual = torch.where(mass > 0, left / mass, residual)
    tip = deepest(stands[:count], parents)
    return tip, residual.index_select(0, tip + 1)
