"""After a rejection the target's cache is emptied where it should be trimmed.

Seen in
    paiml/aprender#2014: the cache on the device was reset, the host's copy rolled back to its
    snapshot.

Breaks
    Whenever there is a rejected token to forget, the target's cache forgets everything.

Shows
    The target's cache holds no token at all after a rejection, and only what was fed since after
    that. Its law strays widely from the first rejection on. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, target_counted


class ResetInsteadOfRollback(Fault):
    """Length 0 instead of a lower one."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Reset each target's cache with every rejection."""
        return target_counted(run, Reset)


class Reset(TargetCount):
    """Empty after anything was to be forgotten."""

    def trim(self, by: int) -> None:
        """Forget all, if anything."""
        super().trim(self.target.length if by else 0)
