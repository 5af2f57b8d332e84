"""The target's cache keeps rejected drafts: its rollback silently does nothing.

Seen in
    ml-explore/mlx-lm#1109 and ml-explore/mlx-swift-lm#424: a cache that can't be trimmed returns 0
    trimmed tokens, and nobody looks.

Breaks
    The target's rollback within a burst leaves the cache as it is; what is verified next comes
    behind the rejected tokens.

Shows
    The target's cache is too long by all that was rejected so far; its law strays from the first
    rejection on, and the text is no longer the target's. The draft is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, target_counted


class TargetRejectedKept(Fault):
    """A rollback that is none."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Leave each target's cache as verification left it."""
        return target_counted(run, Untrimmed)


class Untrimmed(TargetCount):
    """Counts, and trims nothing."""

    def trim(self, by: int) -> None:
        """Keep the last `by` tokens."""
