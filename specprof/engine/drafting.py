"""Drafting with a causal language model: a drafter chooses the model, a shape the chain or tree."""

from typing import TYPE_CHECKING

import torch

from specprof import registry
from specprof.engine.transfer import on_device
from specprof.extend import Cache, Drafter, Parts, Proposal, Shape

if TYPE_CHECKING:
    from specprof.engine.decoder import Decoder


class ModelDrafter(Drafter):
    """Drafts by a model's own logits, in the shape of the settings."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        assert parts.draft is not None  # noqa: S101 - every such drafter's `load` returns a model
        cache = parts.settings.draft_cache or parts.settings.cache
        kept = registry.get(Cache, cache)(parts.settings)
        self.plain = kept.plain(parts.draft.model)
        self.draft: Decoder = parts.decoder(parts.draft.model)
        self.shape = registry.get(Shape, parts.settings.shape)(parts)

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Draft `depth` tokens, or levels of a tree, from the law the target is sampled by.

        First it feeds the tokens of `committed` that the cache lacks: one token as a rule, two
        after an all-accepted round, whose last drafted token was never fed
        (meta-pytorch/gpt-fast#107).
        """
        if depth == 0:
            return empty_proposal(self.draft.device)
        fed = on_device(committed[self.draft.length :], self.draft.device)
        return self.shape.grow(self.draft, fed, depth)


def empty_proposal(device: torch.device) -> Proposal:
    """Return an empty chain."""
    return Proposal(
        tokens=torch.empty(0, dtype=torch.int64, device=device), logits=None, draft_probs=None
    )
