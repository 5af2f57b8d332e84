"""After a rejection the target's cache is emptied instead of trimmed.

Seen in
    paiml/aprender#2014: the cache on the device was reset, and the host's copy was rolled back to
    its snapshot.

Breaks
    Whenever a rejected token has to be forgotten, the target's cache forgets everything.

Shows
    The target's cache holds no token after a rejection, and later only the tokens fed since. Its
    distribution is far off from the first rejection on. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, replace_target_count


class ResetInsteadOfRollback(Fault):
    """Rolls back to length 0."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Reset each target's cache with every rejection."""
        return replace_target_count(run, Reset)


class Reset(TargetCount):
    """Empties the cache whenever a token has to be forgotten."""

    def trim(self, by: int) -> None:
        """Remove all tokens if any has to go."""
        super().trim(self.target.length if by else 0)
