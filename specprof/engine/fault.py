"""The base of faults: known bugs that are put into a run that is ready to be played.

Knows the parts of a run. The faults themselves are in `specprof/faults/`, one file each.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.run import Run
from specprof.settings import Value


class Fault(ABC):
    """A known bug, put into a run at the place where the real bug was.

    Its file's path is the case's id in the catalogue: `kv/draft_rollback_over_trim.py` is
    `kv/draft-rollback-over-trim`. The docstring opens with what is broken, and has these headings,
    in order: Seen in (the threads), Breaks (what the patch does), Shows (the signals it leaves).
    """

    member_kind: ClassVar[str] = "fault"
    settings: ClassVar[dict[str, Value]] = {}
    """Settings that make it show; they override those of `specprof drill`."""

    @abstractmethod
    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Break the run inside the block, and mend it at its end.

        Break only what the run acts on. The models answer the recheck as they would without the
        fault.
        """
