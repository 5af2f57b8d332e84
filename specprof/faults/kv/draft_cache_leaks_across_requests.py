"""The draft's cache is not emptied when a request begins: the last request's text stays in it.

Seen in
    ggml-org/llama.cpp#27692 (a comment on speculative prefill); SafeAILab/EAGLE#82 (on setting the
    length back).

Breaks
    Each burst is a request. Its text is fed to the draft after the tokens that earlier bursts left.

Shows
    The first burst is right. From the second burst on the draft's cache is too long, by one number
    of tokens in all rounds of a burst and by more in each later burst. Its distribution is wrong
    from the first round of such a burst. The target is right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, replace_draft_count
from specprof.settings import Value


class DraftCacheLeaksAcrossRequests(Fault):
    """Makes prefill append to the cache."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6, "context": 300, "max_new_tokens": 128}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Keep each draft's cache from request to request."""
        return replace_draft_count(run, Leaking)


class Leaking(DraftCount):
    """Empties the cache only after the warm-up."""

    def prefill(self, committed: list[int]) -> None:
        """Append a request's text to the cache."""
        self.draft.prefill(committed[:-1])
        self.count = len(committed) - 1

    def rollback(self, committed: int) -> None:
        """Trim. Only the end of the warm-up asks for one committed token: empty the cache then."""
        super().rollback(committed)
        if committed == 1:
            self.draft.rollback(0)
