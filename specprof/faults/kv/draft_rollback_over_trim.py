"""The draft's cache is trimmed by two tokens too many after every rejection.

Seen in
    lablup/mlxcel#994 and lablup/mlxcel#1002: the target was fed K + 1 tokens and the draft K, and
    both were trimmed by the same number.

Breaks
    After r rejections the draft should forget its last r - 1 tokens. It forgets r + 1, and counts
    the tokens it is fed next as if nothing were missing.

Shows
    The draft's cache is too short, by up to two tokens more after each round with a rejection, and
    all-accepted rounds do not mend it. Its distribution differs from the recomputed one more and
    more along a burst. The target is right. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, replace_draft_count

EXTRA_TOKENS = 2
"""Tokens lost in each round with a rejection."""


class DraftRollbackOverTrim(Fault):
    """Trims by rejected + 1 instead of rejected - 1."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Trim each draft by the wrong count."""
        return replace_draft_count(run, OverTrimmed)


class OverTrimmed(DraftCount):
    """Loses two tokens too many in every round with a rejection."""

    def rollback(self, committed: int) -> None:
        """Trim, and after any rejection trim two tokens more, even if none was to be forgotten."""
        fed = self.count
        super().rollback(committed)
        if fed >= committed - 1:  # an all-accepted round leaves the draft a token behind
            super().trim(EXTRA_TOKENS)
