"""Break the draft step: a draft declares one law and draws its tokens from another."""

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
"""From [rows, vocab], a law's probabilities or greedy logits, to [rows] tokens."""


class LawWithOtherDraw(Law):
    """Declares the law `inner`, and draws its tokens otherwise."""

    def __init__(self, inner: Law, draw: Draw) -> None:
        self.inner = inner
        self.greedy = inner.greedy
        self._draw = draw

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of `inner`, [rows, vocab]."""
        return self.inner.probs(logits)

    def draw(self, probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] tokens by the other draw."""
        return self._draw(probs, generator)


@contextmanager
def replace_draw(run: Run, make_draw: Callable[[Law], Draw]) -> Iterator[None]:
    """Draw every sequence's drafts by what `make_draw` returns; their declared law stays.

    Raises UsageError where no model drafts.
    """
    with ExitStack() as stack:
        for lane in run.lanes:
            drafter = lane.loop.drafter
            if not isinstance(drafter, ModelDrafter):
                title = f"drafter {run.settings.drafter!r} draws its drafts in its own way"
                raise UsageError(title, "show this fault with the drafter draft-model")
            parts = drafter.shape.parts
            law = LawWithOtherDraw(parts.law, make_draw(parts.law))
            stack.enter_context(swapped(drafter.shape, parts=replace(parts, law=law)))
        yield


def make_likeliest_draw(law: Law) -> Draw:
    """Return a draw that always takes the likeliest token."""
    del law

    def draw(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return [rows] the likeliest tokens of [rows, vocab]."""
        del generator
        return probs.argmax(-1)

    return draw
