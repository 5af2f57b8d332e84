"""Rounds use up random numbers that they do not need.

Seen in
    vllm-project/vllm-ascend#13608, #13755; vllm-project/vllm#6038; local-inference-lab/vllm#98.

Breaks
    Every decision draws as many numbers as the vocabulary has tokens, and uses none of them.

Shows
    Nothing in a capture: every distribution is right. Two runs with one seed differ as soon as
    their rounds differ.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.extend import Law, Proposal
from specprof.faults._accept import Decide, replace_decide


class StreamDependsOnRoundStructure(Fault):
    """Makes the random numbers depend on the number of rounds."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw unused numbers before every decision."""
        return replace_decide(run, _make_wasteful_decide)


def _make_wasteful_decide(lane: Lane) -> Decide:
    fair = lane.loop.acceptance.decide

    def decide(
        target_logits: torch.Tensor, proposal: Proposal, law: Law, generator: torch.Generator
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`."""
        torch.rand(target_logits.shape[1], generator=generator, device=generator.device)
        return fair(target_logits, proposal, law, generator)

    return decide
