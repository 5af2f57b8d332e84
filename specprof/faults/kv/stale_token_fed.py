"""After an all-accepted round the target is fed the last token but one in place of the last.

Seen in
    Theoretical, no public thread: a buffer of input ids that is not written anew when a round ends
    without a correction leads to it.

Breaks
    The first token of the next verify pass is the last accepted draft, which is in the cache
    already. The bonus token is never fed.

Shows
    Lengths and positions are right. The target's distribution is wrong from the first all-accepted
    round on, and a recheck that is fed as the round was agrees with it. The draft is right. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.decoder import CausalModel
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, replace_target_count


class StaleTokenFed(Fault):
    """Feeds an old token first."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let each target feed what its last all-accepted round fed last."""
        return replace_target_count(run, Stale)


class Stale(TargetCount):
    """Keeps the last token fed where a round trims nothing."""

    def __init__(self, target: CausalModel) -> None:
        super().__init__(target)
        self.last: torch.Tensor | None = None
        """[1]: the last token of the last pass."""
        self.kept = False
        """Whether the round after that pass trimmed nothing."""

    def feed(self, tokens: torch.Tensor, parents: torch.Tensor | None = None) -> torch.Tensor:
        """Feed [n] tokens, the first one stale after a round that trimmed nothing."""
        if self.kept and self.last is not None:
            tokens = torch.cat([self.last, tokens[1:]])
        self.last, self.kept = tokens[-1:], False
        return super().feed(tokens, parents)

    def rollback(self, length: int) -> None:
        """Trim. The end of a request leaves no token for the next one."""
        super().rollback(length)
        if not self.count:
            self.last = None

    def trim(self, by: int) -> None:
        """Trim by `by`."""
        self.kept = by == 0
        super().trim(by)
