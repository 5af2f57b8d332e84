"""The table from a head's ids to the target's is all zeros.

Seen in
    SafeAILab/EAGLE#222 and #196 (comments).

Breaks
    A head with fewer ids than its target numbers them from 0 in its own order. Without the table it
    drafts its number i as the target's id i.

Shows
    Acceptance is low from index 0 on, at every depth, and no id past the head's vocabulary is ever
    drafted. No state is wrong: the recheck of the head uses the same table. At temperature 0 too.
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
    """Sets all offsets from the head's ids to the target's to 0."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Fill the head's table with zeros."""
        head = head_of(run)
        if not head.form.third:
            title = "the head is an EAGLE head, which has no table of ids"
            raise UsageError(title, "use an EAGLE-3 head, such as pocket/eagle")
        table = head.d2t.clone()
        head.d2t.zero_()
        try:
            yield
        finally:
            head.d2t.copy_(table)
