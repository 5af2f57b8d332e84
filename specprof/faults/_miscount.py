"""Caches that are fed by a count kept beside them, so that the cache and its count can differ.

specprof's loop asks a cache for its length and feeds what is missing, so it would repair a wrong
length. The engines with these faults keep a count beside the cache. So do the classes here, and
their `trim` is where a fault makes the cache differ from the count.
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
from specprof.faults._during import break_each_sequence
from specprof.faults._room import enlarge

COMMON_METHODS = ("prefill", "rollback")
"""The methods that a target and a drafter both have."""


class DraftCount:
    """Drafts with a model on the assumption that its cache holds `count` tokens.

    As it stands it breaks nothing; a fault overrides a method. Every burst is a request of its
    own, which begins with an empty cache.
    """

    def __init__(self, drafter: ModelDrafter) -> None:
        self.drafter = drafter
        self.draft = cast("CausalModel", drafter.draft)
        self.count = self.draft.length

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Feed the committed tokens after the first `count`, then draft up to `depth`."""
        if depth == 0:
            return empty_proposal(self.draft.device)
        before = self.draft.length
        fed = on_device(committed[self.count :], self.draft.device)
        proposal = self.drafter.shape.grow(self.draft, fed, depth)
        self.count += self.draft.length - before
        return proposal

    def prefill(self, committed: list[int]) -> None:
        """Read a request's text, all but its last token, into an empty cache."""
        self.draft.rollback(0)
        self.draft.prefill(committed[:-1])
        self.count = len(committed) - 1

    def rollback(self, committed: int) -> None:
        """Lower the count to what was committed, and trim the cache by the difference."""
        before, self.count = self.count, min(self.count, committed - 1)
        self.trim(before - self.count)

    def trim(self, by: int) -> None:
        """Remove the last `by` tokens from the cache, or all if it has fewer."""
        self.draft.rollback(max(self.draft.length - by, 0))


class TargetCount:
    """A target that verifies chains on the assumption that its cache holds `count` tokens."""

    def __init__(self, target: CausalModel) -> None:
        self.target = target
        self.count = self.began = target.length
        self._prefill, self._feed = target.prefill, target.feed

    def prefill(self, tokens: Sequence[int]) -> None:
        """Read a request's text."""
        self._prefill(tokens)
        self.count = self.began = self.target.length

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Count [n] tokens as fed, and return their [n, vocab] logits."""
        self.count += tokens.shape[0]
        return self._feed(tokens, parents)

    def rollback(self, length: int) -> None:
        """Lower the count to `length`, and trim. A rollback to the prompt ends the request."""
        if length <= self.began:
            self.target.store.rollback(0)
            self.count = self.began = 0
        else:
            by, self.count = self.count - length, length
            self.trim(by)

    def trim(self, by: int) -> None:
        """Remove the last `by` tokens from the cache, or all if it has fewer."""
        self.target.store.rollback(max(self.target.length - by, 0))


def replace_draft_count(
    run: Run, kind: Callable[[ModelDrafter], DraftCount]
) -> AbstractContextManager[None]:
    """Feed each sequence's draft by a count of class `kind`."""

    def patch(lane: Lane) -> AbstractContextManager[None]:
        drafter = cast("ModelDrafter", lane.loop.drafter)
        names = "propose", *COMMON_METHODS
        return _replace_methods(drafter, draft_of(lane).store, kind(drafter), names)

    return break_each_sequence(run, patch)


def replace_target_count(
    run: Run, kind: Callable[[CausalModel], TargetCount]
) -> AbstractContextManager[None]:
    """Feed each sequence's target by a count of class `kind`."""

    def patch(lane: Lane) -> AbstractContextManager[None]:
        target = target_of(lane)
        return _replace_methods(target, target.store, kind(target), ("feed", *COMMON_METHODS))

    return break_each_sequence(run, patch)


@contextmanager
def _replace_methods(
    owner: object, store: Store, count: DraftCount | TargetCount, names: Sequence[str]
) -> Iterator[None]:
    """Replace `owner`'s methods by a count's, and give `store` room for tokens left behind."""
    methods = {name: getattr(count, name) for name in names}
    with enlarge(store), swapped(owner, **methods):
        yield


def target_of(lane: Lane) -> CausalModel:
    """Return a sequence's target, which is a model with a cache."""
    return cast("CausalModel", lane.loop.target)


def draft_of(lane: Lane) -> CausalModel:
    """Return what a sequence drafts with, which is a model with a cache."""
    return cast("CausalModel", lane.loop.drafter.draft)
