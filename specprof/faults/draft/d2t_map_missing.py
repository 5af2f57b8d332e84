"""The table from a head's ids to the target's is all zeros.

Seen in
    SafeAILab/EAGLE#222 and #196 (comments).

Breaks
    A head that knows fewer ids than its target drafts id i where it means the i-th of those it
    knows.

Shows
    Acceptance is low from index 0 on, at every depth, and no id past the head's count is ever
    drafted. No state is wrong: whatever recomputes the head has the same table. At temperature 0
    too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.errors import UsageError
from specprof.faults._features import head_of
from specprof.settings import Value


class D2tMapMissing(Fault):
    """Offsets of nothing."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Empty the head's table."""
        head = head_of(run)
        if not head.form.third:
            title = "an EAGLE head has no table of ids"
            raise UsageError(title, "use an EAGLE-3 head, such as pocket/eagle")
        table = head.d2t.clone()
        head.d2t.zero_()
        try:
            yield
        finally:
            head.d2t.copy_(table)
