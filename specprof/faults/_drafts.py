"""The draft step taken apart: the law a shape asks for, and the draw from it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch

from specprof.engine.drafting import ModelDrafter
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.errors import UsageError
from specprof.extend import Law

Draw = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""From [rows, vocab] what a shape hands over, a law's probabilities or greedy logits, to [rows]."""


class DrawnOtherwise(Law):
    """Declares the law inside, and draws by another."""

    def __init__(self, inner: Law, draw: Draw) -> None:
        self.inner = inner
        self.greedy = inner.greedy
        self._draw = draw

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what the law inside says."""
        return self.inner.probs(logits)

    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw [rows] tokens otherwise."""
        return self._draw(probs, generator)


@contextmanager
def drawing(run: Run, draw: Callable[[Law], Draw]) -> Iterator[None]:
    """Have every sequence's drafts drawn by what `draw` makes of its law, and declared as before.

    Raises UsageError where no model drafts.
    """
    with ExitStack() as stack:
        for lane in run.lanes:
            drafter = lane.loop.drafter
            if not isinstance(drafter, ModelDrafter):
                title = f"drafter {run.settings.drafter!r} draws its drafts in its own way"
                raise UsageError(title, "show this fault with the drafter draft-model")
            parts = drafter.shape.parts
            law = DrawnOtherwise(parts.law, draw(parts.law))
            stack.enter_context(swapped(drafter.shape, parts=replace(parts, law=law)))
        yield


def first_choice(law: Law) -> Draw:
    """Return a draw that takes the likeliest token, whatever the law."""
    del law

    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] the likeliest tokens of [rows, vocab]."""
        del generator
        return probs.argmax(-1)

    return draw
