"""A replayed graph trims the draft's cache by the last round's count, not by this round's.

Seen in
    pegainfer-project/pegainfer#591; vllm-project/vllm#43682 is similar: host code inside the
    captured region sets a length, and a replay doesn't run host code.

Breaks
    In each round the draft's cache grows by as many tokens as it should have grown by in the round
    before.

Shows
    If two rounds in a row accept different counts, the draft's cache is too long or too short by
    the difference. It is never off by more, because the errors do not add up. The draft's
    distribution is wrong after such rounds. The target is right. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, replace_draft_count


class GraphReplayStaleLength(Fault):
    """Uses each count one round late."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Trim each draft's cache by the round before."""
        return replace_draft_count(run, Replayed)


class Replayed(DraftCount):
    """Remembers how many tokens it should have grown by."""

    began: int = 0
    grown: int | None = None

    def prefill(self, committed: list[int]) -> None:
        """Read a request's text; its first round is captured."""
        super().prefill(committed)
        self.began, self.grown = self.count, None

    def rollback(self, committed: int) -> None:
        """Lower the count by this round, and trim the cache as for the round before."""
        fed = self.count
        self.count = min(fed, committed - 1)
        due = self.count - self.began
        replayed = due if self.grown is None else self.grown
        self.began, self.grown = self.count, due
        self.trim(max(fed - self.count + due - replayed, 0))
