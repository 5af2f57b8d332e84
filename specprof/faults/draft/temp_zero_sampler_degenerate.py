"""At temperature 0 the draft's sampler leaves no probabilities, and the lowest id is drafted.

Seen in
    ggml-org/llama.cpp#5657, #3624.

Breaks
    The greedy draft step chooses among zeros.

Shows
    Every draft is the same id, at temperature 0 only, and never the draft's own first choice unless
    by chance; almost nothing stands.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._drafts import Draw, drawing
from specprof.settings import Value


class TempZeroSamplerDegenerate(Fault):
    """A special case that nobody tried."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 0.0}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw from laws without mass."""
        return drawing(run, _among_zeros)


def _among_zeros(law: Law) -> Draw:
    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] what a sampler makes of [rows, vocab] weights that are all 0."""
        return law.draw(torch.zeros_like(probs), generator)

    return draw
