"""A replayed graph trims the draft's cache by the round before, not by this one.

Seen in
    pegainfer-project/pegainfer#591; vllm-project/vllm#43682 is of the kind: a length is set by host
    code inside the captured region, which a replay doesn't run.

Breaks
    After a round the draft's cache grows by as many tokens as it should have grown by in the round
    before.

Shows
    Wherever two rounds in a row accept different counts the draft's cache is off by the difference,
    too long or short, and never by more: it does not add up. Its law strays after such rounds. The
    target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, draft_counted


class GraphReplayStaleLength(Fault):
    """One round late."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Trim each draft by its last round."""
        return draft_counted(run, Replayed)


class Replayed(DraftCount):
    """Remembers what it should have grown by."""

    began: int = 0
    grown: int | None = None

    def prefill(self, committed: list[int]) -> None:
        """Take in a request's text; its first round is the one that is captured."""
        super().prefill(committed)
        self.began, self.grown = self.count, None

    def rollback(self, committed: int) -> None:
        """Trim by this round's count, corrected to the last one's."""
        fed = self.count
        self.count = min(fed, committed - 1)
        due = self.count - self.began
        replayed = due if self.grown is None else self.grown
        self.began, self.grown = self.count, due
        self.trim(max(fed - self.count + due - replayed, 0))
