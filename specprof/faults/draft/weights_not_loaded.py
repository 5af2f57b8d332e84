"""One matrix of the draft was never loaded and holds what it was initialised with.

Seen in
    vllm-project/vllm#43456, #43459, #37667; 1bit-MONSTER/1bit-MONSTER#938.

Breaks
    The draft's output matrix is drawn anew as an initialiser would. The draft's own recheck runs
    with the same weights: nothing of its state is wrong.

Shows
    Hardly a draft stands, at any depth or index; the draft makes no more of the text than a guess
    among its whole vocabulary.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.faults._weights import draft_of, head

SPREAD = 0.02
"""Standard deviation that weights are initialised with."""


class WeightsNotLoaded(Fault):
    """A checkpoint key of another name, silently skipped."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Give the draft a random output matrix."""
        matrix = head(draft_of(run))
        generator = torch.Generator(run.device).manual_seed(run.settings.seed)
        fresh = torch.empty_like(matrix.weight).normal_(0.0, SPREAD, generator=generator)
        return swapped(matrix, weight=fresh)
