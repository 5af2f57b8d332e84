"""The target was tuned further; its draft knows the model it had been.

Seen in
    sgl-project/sglang#34337; vllm-project/vllm#52038.

Breaks
    A fixed bias is added to the target's logits, in the run and in its recheck alike.

Shows
    What the draft is owed is lower, evenly; nothing else is out of order.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.faults._weights import head

STRENGTH = 1.0
"""Standard deviation of the bias, in logits."""


class AdapterOrFinetune(Fault):
    """Another target than the draft was made for."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Bias the target's output."""
        matrix = head(run.target)
        generator = torch.Generator(run.device).manual_seed(run.settings.seed)
        size = matrix.weight.shape[0]
        bias = torch.randn(size, generator=generator, device=run.device).to(matrix.weight.dtype)
        return swapped(matrix, bias=STRENGTH * bias)
