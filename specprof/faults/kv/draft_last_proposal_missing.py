"""After an all-accepted round the draft never sees the last token it drafted.

Seen in
    lablup/mlxcel#1002; ohdearquant/lattice#1396; meta-pytorch/gpt-fast#107 tells why a second
    token has to be fed.

Breaks
    The last draft of a round was drawn and not fed. Where it is accepted the next round feeds the
    bonus alone, so that the cache has a hole and every later token stands one place too early.

Shows
    The draft's cache is short by one token more after each all-accepted round, and by no more after
    a rejection; its law strays from the first of them on. The target is clean. At temperature 0
    too, and the more the better the draft.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, draft_counted


class DraftLastProposalMissing(Fault):
    """The bonus is fed, the token before it not."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let each drafter believe that its last draft was fed."""
        return draft_counted(run, Holed)


class Holed(DraftCount):
    """Takes every committed token but the last for fed."""

    def rollback(self, committed: int) -> None:
        """Trim as is right, then count a token that the cache never got."""
        super().rollback(committed)
        self.count = committed - 1
