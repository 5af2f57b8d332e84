"""The target's hidden states, kept as long as its tokens: hidden-state drafters read them."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from specprof.engine.transfer import on_device

Taps = Sequence[tuple[torch.nn.Module, bool]]
"""Modules whose hidden states are wanted: those that enter it (True) or leave it (False)."""


class Features:
    """Hidden states [capacity, width]: one row for each token in the cache.

    Its hooks are removed when it is freed, because a target outlives the run that reads it.
    """

    def __init__(self, taps: Taps, capacity: int) -> None:
        self.capacity = capacity
        self._caught: list[torch.Tensor | None] = [None] * len(taps)
        self._rows: torch.Tensor | None = None
        self._start = self._count = 0
        for number, (module, entering) in enumerate(taps):
            if entering:
                hook = module.register_forward_pre_hook(_entering(self._caught, number))
            else:
                hook = module.register_forward_hook(_leaving(self._caught, number))
            weakref.finalize(self, hook.remove)

    def take(self, start: int) -> None:
        """Store the states of the forward that has just ended, from row `start` on."""
        states = [caught for caught in self._caught if caught is not None]
        joined = torch.cat(states, -1)[0]  # [n, width]
        if self._rows is None:
            self._rows = joined.new_zeros(self.capacity, joined.shape[1])
        self._start, self._count = start, joined.shape[0]
        self._rows[start : start + joined.shape[0]] = joined
        self._caught[:] = [None] * len(self._caught)

    def keep(self, branch: Sequence[int]) -> None:
        """Move the rows of one branch of the last tree together."""
        if self._rows is not None and list(branch) != list(range(len(branch))):
            rows = on_device(branch, self._rows.device) + self._start
            self._rows[self._start : self._start + len(branch)] = self._rows[rows]

    def rows(self, start: int, end: int) -> torch.Tensor:
        """Return [end - start, width] the hidden states of tokens `start` to `end`."""
        assert self._rows is not None  # noqa: S101 - tokens are fed before they are read
        return self._rows[start:end]


def _entering(caught: list[torch.Tensor | None], number: int) -> Callable[..., None]:
    def catch(_: torch.nn.Module, entering: tuple[torch.Tensor, ...]) -> None:
        caught[number] = entering[0]

    return catch


def _leaving(caught: list[torch.Tensor | None], number: int) -> Callable[..., None]:
    def catch(_: torch.nn.Module, __: object, leaving: torch.Tensor) -> None:
        caught[number] = leaving[0] if isinstance(leaving, tuple) else leaving

    return catch


@contextmanager
def catching_states(taps: Taps) -> Iterator[list[torch.Tensor | None]]:
    """Yield a list that holds, after a forward inside the block, the states of each tap."""
    states: list[torch.Tensor | None] = [None] * len(taps)
    hooks = [
        module.register_forward_pre_hook(_entering(states, number))
        if entering
        else module.register_forward_hook(_leaving(states, number))
        for number, (module, entering) in enumerate(taps)
    ]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()
