"""Drafts are the draft's first choices, yet judged as if they had been drawn from its law.

Seen in
    huggingface/transformers#32867, mended by #33534; jaymody/speculative-sampling#3.

Breaks
    The draft step takes the argmax and declares the whole softmax.

Shows
    No draft is ever a second choice, as its declared law would have it; the coins are fair, so that
    what stands agrees with each token's own ratio and falls short of the overlap.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._drafts import drawing, first_choice


class GreedyDraftSoftQ(Fault):
    """The law declared was never drawn from."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Take first choices in every draft step."""
        return drawing(run, first_choice)
