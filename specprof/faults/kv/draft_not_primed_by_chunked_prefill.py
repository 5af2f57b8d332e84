"""Of a long prompt the draft is given the last chunk only.

Seen in
    Blaizzy/mlx-vlm#2096; RBLN-SW/vllm-rbln#554; ModelTC/LightLLM#1079.

Breaks
    Prefill goes over a text in chunks of 512 tokens; only what the last of them holds is fed to
    the draft.

Shows
    Nothing in texts up to one chunk. In longer ones the draft's cache is short by a whole number of
    chunks from a burst's first round on, the same in all its rounds, and its law strays from the
    first round. The target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, draft_counted
from specprof.settings import Value


class DraftNotPrimedByChunkedPrefill(Fault):
    """Shown with the target as its own draft: what it rejects, it lacks the text for."""

    settings: ClassVar[dict[str, Value]] = {
        "drafter": "self",
        "draft": None,
        "context": 1100,
        "stops": 8,
        "max_new_tokens": 96,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Feed each draft the last chunk of its prompts."""
        return draft_counted(run, Unprimed)


class Unprimed(DraftCount):
    """Knows the end of its text."""

    def prefill(self, committed: list[int]) -> None:
        """Take in what the last chunk of all but the last token holds."""
        super().prefill(committed)
        chunks = max(len(committed) - 2, 0) // PREFILL_CHUNK  # that are full and not the last
        self.draft.rollback(0)
        self.draft.prefill(committed[chunks * PREFILL_CHUNK : -1])
