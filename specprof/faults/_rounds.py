"""The end of a round taken apart: which of its tokens are committed."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from specprof.engine import loop
from specprof.engine.patch import swapped
from specprof.extend import Proposal

Outcome = tuple[int, int, list[int], list[int]]


def committing(cut: Callable[[list[int], int], list[int]]) -> AbstractContextManager[None]:
    """Commit what `cut` leaves of a round's tokens, given them and how many had been drafted.

    The length limit and stop tokens cut what is left of them, as always.
    """
    to_host, stopped = loop._to_host, loop._stopped  # noqa: SLF001 - the place to break
    drafted = [0]

    def noted(verdict: torch.Tensor, proposal: Proposal, logits: torch.Tensor) -> Outcome:
        drafted[0] = proposal.tokens.shape[0]
        return to_host(verdict, proposal, logits)

    def shortened(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
        return stopped(cut(emitted, drafted[0]), room, stop)

    return swapped(loop, _to_host=noted, _stopped=shortened)
