"""The draft's cache is trimmed by two tokens too many after every rejection.

Seen in
    lablup/mlxcel#994 and lablup/mlxcel#1002: the target was fed K + 1 tokens and the draft K, and
    both were trimmed by the same number.

Breaks
    Where the draft is to forget its last r - 1 tokens after r rejections, it forgets r + 1; what
    it is fed next is counted as if nothing were missing.

Shows
    The draft's cache is short, by up to two tokens more with each rejecting round and no less
    after an accepted one; its law strays from the recomputed one more and more along a burst. The
    target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, draft_counted

EXTRA = 2
"""Tokens lost a rejecting round."""


class DraftRollbackOverTrim(Fault):
    """Rejected + 1 instead of rejected - 1."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Trim each draft by the wrong count."""
        return draft_counted(run, OverTrimmed)


class OverTrimmed(DraftCount):
    """Loses two tokens more wherever it loses any."""

    def rollback(self, committed: int) -> None:
        """Trim; a draft that has nothing to forget after a rejection loses its tokens just so."""
        fed = self.count
        super().rollback(committed)
        if fed >= committed - 1:  # an all-accepted round leaves the draft a token behind
            super().trim(EXTRA)
