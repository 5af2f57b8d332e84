"""Drafts are drawn from the likeliest few tokens, and judged as if from the whole law.

Seen in
    huggingface/transformers#47932, #47961: tokens came from the processed logits, the raw ones were
    returned for the accept test.

Breaks
    The draft step keeps its law's first few tokens before it draws, and declares all of them.

Shows
    Drafts never come from the tail of the law they are declared to be of; the coins are fair, so
    that what stands agrees with each token's own ratio.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._drafts import Draw, drawing

KEPT = 5
"""Tokens the draft draws among."""


class QUnfilteredTokensFiltered(Fault):
    """The draft has a top-k of its own that nobody is told of."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Cut what every draft step draws from."""
        return drawing(run, _among_few)


def _among_few(law: Law) -> Draw:
    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] tokens drawn from the head of [rows, vocab]."""
        least = probs.topk(KEPT, -1).values[:, -1:]
        return law.draw(probs.where(probs >= least, 0.0), generator)

    return draw
