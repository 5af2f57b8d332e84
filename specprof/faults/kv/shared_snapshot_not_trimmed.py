"""A head reads the last rows of what verification left, accepted or not.

Seen in
    ml-explore/mlx-swift-lm#308 (review).

Breaks
    The hidden states a head is given are a snapshot taken before acceptance was known: its newest
    rows are taken for those of the newest committed tokens.

Shows
    Drafts after an all-accepted round are as good as ever, after a rejection they follow rejected
    text: acceptance at index 0 tells the two apart. Lengths are right, the target is clean. At
    temperature 0 too.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.faults._during import in_each
from specprof.faults._features import features_of
from specprof.faults._miscount import target_of
from specprof.settings import Value


class SharedSnapshotNotTrimmed(Fault):
    """The cache is trimmed, what was taken beside it is not."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Hand each head the end of the last verification."""
        return in_each(run, _broken)


@contextmanager
def _broken(lane: Lane) -> Iterator[None]:
    target, features = target_of(lane), features_of(lane)
    feed, rows = target.feed, features.rows
    began = end = 0

    def fed(tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal began, end
        began = target.length
        logits = feed(tokens, parents)
        end = target.length
        return logits

    def last(start: int, stop: int) -> torch.Tensor:
        if not began <= start < end:  # prefill, or a burst's first round: nothing was rejected
            return rows(start, stop)
        return rows(end - (stop - start), end)

    with swapped(target, feed=fed), swapped(features, rows=last):
        yield
