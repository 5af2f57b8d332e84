"""Faults of cost: the host waits where the real engine lost time, many times a round's own time.

It waits and does no work, so the cost is equal on every machine and no higher on a busy one.
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
    """Do nothing for `ms` milliseconds."""
    time.sleep(ms / 1000)


@contextmanager
def slow_feeds(
    run: Run, decoder_of: Callable[[Loop], Decoder], cost_ms: Callable[[int], float]
) -> Iterator[None]:
    """Make a decoder of every sequence wait `cost_ms(n)` milliseconds at each feed of n tokens."""
    with ExitStack() as stack:
        for lane in run.lanes:
            stack.enter_context(_slow_feed(decoder_of(lane.loop), cost_ms))
        yield


def verifying_decoder(loop: Loop) -> Decoder:
    """Return the loop's target."""
    return loop.target


def drafting_decoder(loop: Loop) -> Decoder:
    """Return the loop's draft; raise UsageError for a drafter without a model."""
    if loop.drafter.draft is None:
        title = f"{type(loop.drafter).__name__} has no model to wait for"
        raise UsageError(title, "show this fault with the drafter draft-model")
    return loop.drafter.draft


@contextmanager
def _slow_feed(decoder: Decoder, cost_ms: Callable[[int], float]) -> Iterator[None]:
    feed = decoder.feed

    def slow(tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        logits = feed(tokens, parents)
        wait(cost_ms(tokens.shape[0]))
        return logits

    with swapped(decoder, feed=slow):
        yield
