"""Rejected drafts stay in the draft's cache, where later drafts attend to them.

Seen in
    vllm-project/vllm-ascend#14883: the length that the draft's attention reads was not lowered by
    the rejected count. It is the counterpart of lablup/mlxcel#1002.

Breaks
    The draft's cache is never trimmed within a burst, and the next tokens are fed after the
    rejected ones.

Shows
    The draft's cache is too long, by all drafts that were fed and rejected so far. Its distribution
    is right until the first such round, and wrong from there on. The target is right. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, replace_draft_count


class DraftRollbackUnderTrim(Fault):
    """Never trims the draft's cache."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Leave every token in each draft's cache."""
        return replace_draft_count(run, Untrimmed)


class Untrimmed(DraftCount):
    """Lowers its count, but trims nothing."""

    def trim(self, by: int) -> None:
        """Keep the last `by` tokens."""
