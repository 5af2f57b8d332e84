"""Drafts are drawn from rounded probabilities, and judged by the exact ones.

Seen in
    deepseek-ai/DeepSpec#31.

Breaks
    The draft step rounds its probabilities to bfloat16 before it draws. It declares them in single
    precision.

Shows
    Next to nothing. Each probability is off by up to a part in 256, either way, and it takes
    hundreds of thousands of drafts to see it.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._drafts import Draw, replace_draw


class SamplePrecisionDiffers(Fault):
    """Uses one law in two precisions."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Round the probabilities that every draft step draws from."""
        return replace_draw(run, _draw_from_rounded)


def _draw_from_rounded(law: Law) -> Draw:
    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] tokens drawn from [rows, vocab] rounded to bfloat16."""
        return law.draw(probs.bfloat16().float(), generator)

    return draw
