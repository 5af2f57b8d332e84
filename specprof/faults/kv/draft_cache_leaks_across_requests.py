"""The draft's cache is not emptied when a request begins: the last one's text stays before it.

Seen in
    ggml-org/llama.cpp#27692 (a comment on speculative prefill); SafeAILab/EAGLE#82 (on setting the
    length back).

Breaks
    Each burst is a request. Its text is fed to the draft behind what earlier bursts left.

Shows
    The first burst is clean. From the second on the draft's cache is too long by the same number of
    tokens in all rounds of a burst, and by more in each later one; its law strays from the first
    round of such a burst. The target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, draft_counted
from specprof.settings import Value


class DraftCacheLeaksAcrossRequests(Fault):
    """Prefill appends."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6, "context": 300, "max_new_tokens": 128}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let each draft's cache live on from request to request."""
        return draft_counted(run, Leaking)


class Leaking(DraftCount):
    """Starts anew only where the whole process does."""

    def prefill(self, committed: list[int]) -> None:
        """Append a request's text to whatever is there."""
        self.draft.prefill(committed[:-1])
        self.count = len(committed) - 1

    def rollback(self, committed: int) -> None:
        """Trim; told to keep nothing, as only warming up ends, be empty."""
        super().rollback(committed)
        if committed == 1:
            self.draft.rollback(0)
