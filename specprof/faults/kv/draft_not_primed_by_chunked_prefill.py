"""The draft is fed only the last chunk of a long prompt.

Seen in
    Blaizzy/mlx-vlm#2096; RBLN-SW/vllm-rbln#554; ModelTC/LightLLM#1079.

Breaks
    Prefill goes over a text in chunks of 512 tokens. Only the last chunk is fed to the draft.

Shows
    Nothing in texts up to one chunk. In longer texts the draft's cache lacks a whole number of
    chunks, one number in all rounds of a burst. Its distribution is wrong from the first round on.
    The target is right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import DraftCount, replace_draft_count
from specprof.settings import Value


class DraftNotPrimedByChunkedPrefill(Fault):
    """Shown with the target as its own draft, which rejects only for want of the text."""

    settings: ClassVar[dict[str, Value]] = {
        "drafter": "self",
        "draft": None,
        "context": 1100,
        "stops": 8,
        "max_new_tokens": 96,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Feed each draft the last chunk of its prompts."""
        return replace_draft_count(run, Unprimed)


class Unprimed(DraftCount):
    """Prefills only the end of a text."""

    def prefill(self, committed: list[int]) -> None:
        """Read the last chunk of all but the last token."""
        super().prefill(committed)
        chunks = max(len(committed) - 2, 0) // PREFILL_CHUNK  # full chunks before the last
        self.draft.rollback(0)
        self.draft.prefill(committed[chunks * PREFILL_CHUNK : -1])
