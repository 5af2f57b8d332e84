"""Costs put where the real ones were: the host waits, many times what a round takes by itself.

A wait and not work: it costs the same on every machine, and no more on a busy one.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.loop import Loop
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.errors import UsageError


def wait(ms: float) -> None:
    """Do nothing for so long."""
    time.sleep(ms / 1000)


@contextmanager
def feeding_slowly(
    run: Run, of: Callable[[Loop], Decoder], cost_ms: Callable[[int], float]
) -> Iterator[None]:
    """Have a decoder of every sequence wait with each feed of n tokens, `cost_ms(n)`."""
    with ExitStack() as stack:
        for lane in run.lanes:
            stack.enter_context(_slowed(of(lane.loop), cost_ms))
        yield


def target(loop: Loop) -> Decoder:
    """Return what verifies."""
    return loop.target


def draft(loop: Loop) -> Decoder:
    """Return what drafts; refuse a drafter without a model."""
    if loop.drafter.draft is None:
        title = f"{type(loop.drafter).__name__} has no model to wait for"
        raise UsageError(title, "show this fault with the drafter draft-model")
    return loop.drafter.draft


@contextmanager
def _slowed(decoder: Decoder, cost_ms: Callable[[int], float]) -> Iterator[None]:
    feed = decoder.feed

    def slow(tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        answer = feed(tokens, parents)
        wait(cost_ms(tokens.shape[0]))
        return answer

    with swapped(decoder, feed=slow):
        yield
