"""What a fault is: a known bug, put into a run that is ready to be played.

Knows a run's parts; the faults themselves lie in `specprof/faults/`, one file each.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.run import Run
from specprof.settings import Value


class Fault(ABC):
    """A known bug, to be put into a run at the place where the real one was.

    Its file's path is the case's id in the catalogue: `kv/draft_rollback_over_trim.py` is
    `kv/draft-rollback-over-trim`. The docstring opens with what is broken, and has these headings,
    in order: Seen in (the threads), Breaks (what the patch does), Shows (the signals it leaves).
    """

    member_kind: ClassVar[str] = "fault"
    settings: ClassVar[dict[str, Value]] = {}
    """The settings it is drilled under, put over those of every drill."""

    @abstractmethod
    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Break the run as long as the block lasts; leaves nothing broken behind it.

        Only what the run acts on: the models themselves answer the recheck as they would without.
        """
