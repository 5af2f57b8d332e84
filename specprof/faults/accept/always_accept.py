"""Every drafted token stands, whatever the target makes of it.

Seen in
    huggingface/transformers#28508 (a wrong count of matches when sampling);
    vllm-project/vllm-ascend#13730 (the uniform draw is the constant 0).

Breaks
    The accept step's coins are all 0, so that each is below any ratio.

Shows
    Drafts stand far more often than they are owed, at whatever probability the target gives them;
    what was drafted is drawn fairly, and both states are clean.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped_in_all
from specprof.engine.run import Run
from specprof.extend import Law, Proposal


class AlwaysAccept(Fault):
    """All of the chain, then a bonus."""

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Put an accept step without coins in the place of each sequence's own."""

        def decide(
            target_logits: torch.Tensor,
            proposal: Proposal,
            law: Law,
            generator: torch.Generator,
        ) -> torch.Tensor:
            bonus = law.draw(law.probs(target_logits[-1:]), generator)
            return torch.cat([bonus.new_full((1,), proposal.tokens.shape[0] - 1), bonus])

        rules = [lane.loop.acceptance for lane in run.lanes]
        with swapped_in_all(rules, decide=decide):
            yield
