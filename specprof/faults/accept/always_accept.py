"""Every drafted token is accepted, whatever probability the target gives it.

Seen in
    huggingface/transformers#28508 (a wrong count of matches when sampling);
    vllm-project/vllm-ascend#13730 (the uniform draw is the constant 0).

Breaks
    The accept step's random numbers are all 0, so each is below any ratio.

Shows
    Drafts are accepted far more often than their ratios allow, however improbable the target finds
    them. Drafts are drawn as declared, and both states are right.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped_in_all
from specprof.engine.run import Run
from specprof.extend import Law, Proposal


class AlwaysAccept(Fault):
    """Accepts the whole chain, then draws a bonus."""

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Replace each sequence's accept step by one that throws no coins."""

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
