"""Drafts are drawn from the few likeliest tokens, but are judged as if from all of them.

Seen in
    huggingface/transformers#47932, #47961: tokens came from the processed logits, and the raw
    logits were returned for the accept test.

Breaks
    The draft step draws among the five likeliest tokens, and declares the whole distribution.

Shows
    Drafts never come from the tail of their declared distribution. Each token is accepted as often
    as its ratio allows.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law
from specprof.faults._drafts import Draw, replace_draw

CANDIDATES = 5
"""Tokens that the draft draws among."""


class QUnfilteredTokensFiltered(Fault):
    """Gives the draft a top-k of its own that it does not declare."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Cut the law that every draft step draws from."""
        return replace_draw(run, _draw_among_few)


def _draw_among_few(law: Law) -> Draw:
    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] tokens drawn from the likeliest of [rows, vocab]."""
        least = probs.topk(CANDIDATES, -1).values[:, -1:]
        return law.draw(probs.where(probs >= least, 0.0), generator)

    return draw
