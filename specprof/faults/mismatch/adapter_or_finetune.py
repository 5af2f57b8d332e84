"""The target was fine-tuned after the draft was trained to match it.

Seen in
    sgl-project/sglang#34337; vllm-project/vllm#52038.

Breaks
    A fixed bias is added to the target's logits, both in the run and in its recheck.

Shows
    The overlap is lower everywhere. Nothing else is wrong.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.faults._weights import output_module

BIAS_STD = 1.0
"""Standard deviation of the bias, in logits."""


class AdapterOrFinetune(Fault):
    """Pairs the draft with another target than it was made for."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Bias the target's output."""
        matrix = output_module(run.target)
        generator = torch.Generator(run.device).manual_seed(run.settings.seed)
        size = matrix.weight.shape[0]
        bias = torch.randn(size, generator=generator, device=run.device).to(matrix.weight.dtype)
        return swapped(matrix, bias=BIAS_STD * bias)
