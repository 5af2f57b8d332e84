"""Random numbers are used up by rounds that need none.

Seen in
    vllm-project/vllm-ascend#13608, #13755; vllm-project/vllm#6038; local-inference-lab/vllm#98.

Breaks
    Every decision draws a vocabulary's worth of numbers that nobody looks at.

Shows
    Nothing in a capture: every law is right. Two runs of the same seed part as soon as their rounds
    do.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.extend import Law, Proposal
from specprof.faults._accept import Decide, deciding


class StreamDependsOnRoundStructure(Fault):
    """One stream for everything."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw in vain before every decision."""
        return deciding(run, _wasteful)


def _wasteful(lane: Lane) -> Decide:
    fair = lane.loop.acceptance.decide

    def decide(
        target_logits: torch.Tensor, proposal: Proposal, law: Law, generator: torch.Generator
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`."""
        torch.rand(target_logits.shape[1], generator=generator, device=generator.device)
        return fair(target_logits, proposal, law, generator)

    return decide
