"""A drafted token stands if the target finds it likely enough: LOSSY, the law changes."""

from typing import ClassVar

import torch

from specprof.engine.tree import deepest
from specprof.extend import Acceptance, Law, Proposal

EPSILON = 0.09
"""A token at least this likely always stands."""
DELTA = 0.3
"""If the target is unsure, exp(-entropy) times this is enough. Both numbers are Medusa's own."""


class Typical(Acceptance):
    """Medusa's typical acceptance (arXiv 2401.10774; theory 2.8).

    A token stands if its target probability exceeds min(EPSILON, DELTA * exp(-entropy)). In a tree
    the longest path that stands is taken, the first among equals. At temperature 0 this is greedy.
    """

    lossless: ClassVar[bool] = False
    trees: ClassVar[bool] = True

    @torch.inference_mode()
    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2]: the last drafted token that stands, and one drawn from the target after."""
        target_probs, tokens = law.probs(target_logits), proposal.tokens  # [N+1, vocab], [N]
        if proposal.parents is None:
            stands = _typical(target_probs[:-1], tokens)
            tip = stands.cumprod(0).sum(0, keepdim=True) - 1  # [1]
        else:
            stands = _typical(target_probs[proposal.parents + 1], tokens)
            tip = deepest(stands, proposal.parents)
        return torch.cat([tip, law.draw(target_probs.index_select(0, tip + 1), generator)])

    def owed(self, target_probs: torch.Tensor, draft_probs: torch.Tensor) -> torch.Tensor:
        """Return [K]: the draft's mass on tokens that would stand."""
        return (draft_probs * (target_probs > _threshold(target_probs))).sum(-1)

    def owed_given(self, target_prob: float, draft_prob: float) -> float:
        """Return 1 if the token stands at any entropy, else 0; `owed_each` knows the entropy."""
        del draft_prob
        return float(target_prob > EPSILON)

    def owed_each(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return [places]: 1 for each of `tokens` that stands, else 0."""
        del draft_probs
        return _typical(target_probs, tokens).to(target_probs.dtype)

    def left(
        self, target_probs: torch.Tensor, draft_probs: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return [places, vocab] the target's law unchanged: a sibling's rejection leaves it."""
        del draft_probs, tokens
        return target_probs


def _typical(target_probs: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return [places] bool whether each token stands at its own place's law, [places, vocab]."""
    return torch.gt(target_probs.gather(1, tokens[:, None]), _threshold(target_probs))[:, 0]


def _threshold(target_probs: torch.Tensor) -> torch.Tensor:
    """Return [places, 1] the probability that a token must exceed."""
    entropy = torch.special.entr(target_probs).sum(-1, keepdim=True)
    threshold: torch.Tensor = (DELTA * (-entropy).exp()).clamp_max(EPSILON)
    return threshold
