"""Break the end of a round: commit fewer tokens than it produced."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from specprof.engine import loop
from specprof.engine.patch import swapped
from specprof.extend import Proposal

Outcome = tuple[int, int, list[int], list[int]]


def cut_commits(cut: Callable[[list[int], int], list[int]]) -> AbstractContextManager[None]:
    """Commit what `cut` returns, given a round's tokens and the number of drafted ones.

    The length limit and stop tokens then cut the rest as always.
    """
    to_host, stopped = loop._to_host, loop._stopped  # noqa: SLF001 - the place to break
    drafted = [0]

    def note_drafted(verdict: torch.Tensor, proposal: Proposal, logits: torch.Tensor) -> Outcome:
        drafted[0] = proposal.tokens.shape[0]
        return to_host(verdict, proposal, logits)

    def cut_and_stop(emitted: list[int], room: int, stop: frozenset[int]) -> list[int]:
        return stopped(cut(emitted, drafted[0]), room, stop)

    return swapped(loop, _to_host=note_drafted, _stopped=cut_and_stop)
