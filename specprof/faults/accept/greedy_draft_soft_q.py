"""Drafts are the draft's first choices, but are judged as if drawn from its distribution.

Seen in
    huggingface/transformers#32867, mended by #33534; jaymody/speculative-sampling#3.

Breaks
    The draft step takes the argmax and declares the whole softmax.

Shows
    No draft is ever a second choice, though the declared distribution would draw some. Each token
    is accepted as often as its ratio allows, and the total falls short of the overlap.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._drafts import make_likeliest_draw, replace_draw


class GreedyDraftSoftQ(Fault):
    """Declares a law that no draft was drawn from."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Take first choices in every draft step."""
        return replace_draw(run, make_likeliest_draw)
