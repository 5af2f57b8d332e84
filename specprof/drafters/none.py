"""Drafts nothing: plain autoregressive decoding, the baseline of every comparison."""

import torch

from specprof.engine.stopwatch import Stopwatch
from specprof.extend import Drafter, Proposal


class NoDrafter(Drafter):
    """One token a round, by the target alone."""

    needs_draft_model = False

    def propose(
        self, committed: list[int], depth: int, generator: torch.Generator, watch: Stopwatch
    ) -> Proposal:
        """Return an empty chain."""
        del committed, depth, watch
        empty = torch.empty(0, dtype=torch.int64, device=generator.device)
        return Proposal(tokens=empty, logits=None, draft_probs=None)
