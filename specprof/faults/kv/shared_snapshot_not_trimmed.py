"""A head reads the last hidden states of the verification, even those of rejected tokens.

Seen in
    ml-explore/mlx-swift-lm#308 (review).

Breaks
    The hidden states that a head is given are a snapshot from before acceptance was known. Its
    newest rows are used as those of the newest committed tokens.

Shows
    Drafts are as good as ever after an all-accepted round. After a rejection they continue rejected
    text, so acceptance at index 0 is lower there. Lengths and the target are right. At temperature
    0 too.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.faults._during import break_each_sequence
from specprof.faults._features import features_of
from specprof.faults._miscount import target_of
from specprof.settings import Value


class SharedSnapshotNotTrimmed(Fault):
    """Trims the cache, but not the snapshot of hidden states."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Give each head the last states of the last verification."""
        return break_each_sequence(run, _break_sequence)


@contextmanager
def _break_sequence(lane: Lane) -> Iterator[None]:
    target, features = target_of(lane), features_of(lane)
    feed, rows = target.feed, features.rows
    began = end = 0

    def feed_and_note(tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal began, end
        began = target.length
        logits = feed(tokens, parents)
        end = target.length
        return logits

    def last_rows(start: int, stop: int) -> torch.Tensor:
        if not began <= start < end:  # prefill or a burst's first round: no rejection before
            return rows(start, stop)
        return rows(end - (stop - start), end)

    with swapped(target, feed=feed_and_note), swapped(features, rows=last_rows):
        yield
