"""Rejected drafts stay in the draft's cache, in the sight of later drafts.

Seen in
    vllm-project/vllm-ascend#14883: the length the draft's attention reads was not lowered by the
    rejected count; the counterpart of lablup/mlxcel#1002.

Breaks
    The draft's cache is never trimmed within a burst, and the next tokens are fed behind what was
    rejected.

Shows
    The draft's cache is too long, by every draft that was fed and rejected so far; its law strays
    from the first such round on and is right until then. The target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, draft_counted


class DraftRollbackUnderTrim(Fault):
    """No trim at all."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Leave each draft's cache as its drafting left it."""
        return draft_counted(run, Untrimmed)


class Untrimmed(DraftCount):
    """Counts, and trims nothing."""

    def trim(self, by: int) -> None:
        """Keep the last `by` tokens."""
