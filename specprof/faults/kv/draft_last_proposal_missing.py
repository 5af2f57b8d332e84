"""After an all-accepted round the draft never reads the last token it drafted.

Seen in
    lablup/mlxcel#1002; ohdearquant/lattice#1396; meta-pytorch/gpt-fast#107 (explains why a second
    token has to be fed).

Breaks
    The last draft of a round was drawn but not fed. If it is accepted, the next round feeds the
    bonus alone, so the cache lacks a token and every later token stands one position too early.

Shows
    The draft's cache lacks one token more after each all-accepted round, and no more after a
    rejection. Its distribution is wrong from the first all-accepted round on. The target is right.
    At temperature 0 too. The better the draft, the more tokens are lacking.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, replace_draft_count


class DraftLastProposalMissing(Fault):
    """Feeds the bonus, but not the token before it."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Count each sequence's last draft as fed."""
        return replace_draft_count(run, Holed)


class Holed(DraftCount):
    """Counts every committed token but the last as fed."""

    def rollback(self, committed: int) -> None:
        """Trim rightly, then count a token that the cache never got."""
        super().rollback(committed)
        self.count = committed - 1
