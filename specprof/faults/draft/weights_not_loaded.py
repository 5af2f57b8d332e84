"""One matrix of the draft was never loaded, so it holds random initial values.

Seen in
    vllm-project/vllm#43456, #43459, #37667; 1bit-MONSTER/1bit-MONSTER#938.

Breaks
    The draft's output matrix is drawn anew, as an initialiser draws it. The draft's own recheck
    runs with the same weights, so its state is right.

Shows
    Hardly a draft is accepted, at any depth or index. The draft predicts the text no better than a
    guess among its whole vocabulary.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.faults._weights import output_module, own_draft_of

INITIAL_STD = 0.02
"""Standard deviation of initial weights."""


class WeightsNotLoaded(Fault):
    """Skips a checkpoint key of another name without a warning."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Give the draft a random output matrix."""
        matrix = output_module(own_draft_of(run))
        generator = torch.Generator(run.device).manual_seed(run.settings.seed)
        fresh = torch.empty_like(matrix.weight).normal_(0.0, INITIAL_STD, generator=generator)
        return swapped(matrix, weight=fresh)
