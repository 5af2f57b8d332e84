"""At temperature 0 the draft's sampler returns zeros for probabilities, so it drafts the lowest id.

Seen in
    ggml-org/llama.cpp#5657, #3624.

Breaks
    The greedy draft step chooses among zeros.

Shows
    At temperature 0 alone, every draft is the same id. It is the draft's own first choice only by
    chance, and almost no draft is accepted.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._drafts import Draw, replace_draw
from specprof.settings import Value


class TempZeroSamplerDegenerate(Fault):
    """Breaks the special case of temperature 0."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 0.0}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw every draft from weights that are all 0."""
        return replace_draw(run, _draw_among_zeros)


def _draw_among_zeros(law: Law) -> Draw:
    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] the sampler's draws from [rows, vocab] weights that are all 0."""
        return law.draw(torch.zeros_like(probs), generator)

    return draw
