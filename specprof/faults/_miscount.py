"""A cache that isn't what its owner takes it for: it is fed by a count, and the count is believed.

specprof's loop asks a cache how long it is and feeds what is missing, so a wrong length would heal.
The engines these faults were seen in keep count beside the cache; here that count is kept too, and
`trim` is where cache and count part.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import torch

from specprof.engine.decoder import CausalModel
from specprof.engine.drafting import ModelDrafter, empty_proposal
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Store
from specprof.engine.transfer import on_device
from specprof.extend import Proposal
from specprof.faults._during import in_each
from specprof.faults._room import roomier

COMMON = ("prefill", "rollback")
"""What a target and a drafter both do."""


class DraftCount:
    """Drafts by a model whose cache is taken to hold `count` tokens. Unchanged it breaks nothing.

    Every burst is a request of its own, which begins with an empty cache.
    """

    def __init__(self, drafter: ModelDrafter) -> None:
        self.drafter = drafter
        self.draft = cast("CausalModel", drafter.draft)
        self.count = self.draft.length

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Feed what the count says is missing, then draft."""
        if depth == 0:
            return empty_proposal(self.draft.device)
        before = self.draft.length
        fed = on_device(committed[self.count :], self.draft.device)
        proposal = self.drafter.shape.grow(self.draft, fed, depth)
        self.count += self.draft.length - before
        return proposal

    def prefill(self, committed: list[int]) -> None:
        """Take in a request's text, all but the last token."""
        self.draft.rollback(0)
        self.draft.prefill(committed[:-1])
        self.count = len(committed) - 1

    def rollback(self, committed: int) -> None:
        """Count what was committed; let `trim` do the same to the cache."""
        before, self.count = self.count, min(self.count, committed - 1)
        self.trim(before - self.count)

    def trim(self, by: int) -> None:
        """Take the last `by` tokens off the cache, as long as it has any."""
        self.draft.rollback(max(self.draft.length - by, 0))


class TargetCount:
    """The same of a target that verifies chains, which the loop feeds without asking its cache."""

    def __init__(self, target: CausalModel) -> None:
        self.target = target
        self.count = self.began = target.length
        self._whole = target.prefill, target.feed

    def prefill(self, tokens: Sequence[int]) -> None:
        """Take in a request's text."""
        self._whole[0](tokens)
        self.count = self.began = self.target.length

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Return [n, vocab] logits of [n] tokens, counted as fed."""
        self.count += tokens.shape[0]
        return self._whole[1](tokens, parents)

    def rollback(self, length: int) -> None:
        """Count what was committed, and trim. Back at the request's text, it is over: forget it."""
        if length <= self.began:
            self.target.store.rollback(0)
            self.count = self.began = 0
        else:
            by, self.count = self.count - length, length
            self.trim(by)

    def trim(self, by: int) -> None:
        """Take the last `by` tokens off the cache, as long as it has any."""
        self.target.store.rollback(max(self.target.length - by, 0))


def draft_counted(
    run: Run, kind: Callable[[ModelDrafter], DraftCount]
) -> AbstractContextManager[None]:
    """Let each sequence's draft go by a count of this kind."""

    def counted(lane: Lane) -> AbstractContextManager[None]:
        drafter = cast("ModelDrafter", lane.loop.drafter)
        return _counted(drafter, draft_of(lane).store, kind(drafter), ("propose", *COMMON))

    return in_each(run, counted)


def target_counted(
    run: Run, kind: Callable[[CausalModel], TargetCount]
) -> AbstractContextManager[None]:
    """Let each sequence's target go by a count of this kind."""

    def counted(lane: Lane) -> AbstractContextManager[None]:
        target = target_of(lane)
        return _counted(target, target.store, kind(target), ("feed", *COMMON))

    return in_each(run, counted)


@contextmanager
def _counted(
    owner: object, store: Store, count: DraftCount | TargetCount, names: Sequence[str]
) -> Iterator[None]:
    """Put a count's methods in the place of `owner`'s; `store` gets room for the mistakes."""
    methods = {name: getattr(count, name) for name in names}
    with roomier(store), swapped(owner, **methods):
        yield


def target_of(lane: Lane) -> CausalModel:
    """Return a sequence's target as what it is in a run."""
    return cast("CausalModel", lane.loop.target)


def draft_of(lane: Lane) -> CausalModel:
    """Return what a sequence drafts with, a model with a cache."""
    return cast("CausalModel", lane.loop.drafter.draft)
