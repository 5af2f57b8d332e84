"""The target's cache keeps rejected drafts: its rollback silently does nothing.

Seen in
    ml-explore/mlx-lm#1109 and ml-explore/mlx-swift-lm#424: a cache that can't be trimmed returns 0
    trimmed tokens, and its caller ignores the number.

Breaks
    The target's rollback within a burst leaves the cache as it is. The next tokens to verify come
    after the rejected ones.

Shows
    The target's cache is too long by all tokens rejected so far. Its distribution is wrong from the
    first rejection on, so the text is no longer the target's. The draft is right. At temperature 0
    too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, replace_target_count


class TargetRejectedKept(Fault):
    """Makes the target's rollback do nothing."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Leave every token in each target's cache."""
        return replace_target_count(run, Untrimmed)


class Untrimmed(TargetCount):
    """Lowers its count, but trims nothing."""

    def trim(self, by: int) -> None:
        """Keep the last `by` tokens."""
