"""Drafts are drawn from a rounded law and judged by the exact one.

Seen in
    deepseek-ai/DeepSpec#31.

Breaks
    The draft step rounds its probabilities to bfloat16 before it draws; single precision is
    declared.

Shows
    Next to nothing: each probability is off by up to a part in 256, either way, and it takes
    hundreds of thousands of drafts to tell.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._drafts import Draw, drawing


class SamplePrecisionDiffers(Fault):
    """Two precisions of one law."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Round what every draft step draws from."""
        return drawing(run, _rounded)


def _rounded(law: Law) -> Draw:
    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] tokens drawn from [rows, vocab] rounded."""
        return law.draw(probs.bfloat16().float(), generator)

    return draw
