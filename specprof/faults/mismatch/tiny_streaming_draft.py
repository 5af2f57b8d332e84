"""The draft sees a few sinks and the last few tokens, but the target sees everything.

Seen in
    Infini-AI-Lab/TriForce#8: acceptance of about 0.35, by design.

Breaks
    Nothing: the draft's cache is `sink-window` with a window of 32.

Shows
    The overlap is low. The draft agrees with a recheck over its own window, so its state is right.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class TinyStreamingDraft(Fault):
    """Gives the draft a view of 36 tokens."""

    settings: ClassVar[dict[str, Value]] = {"draft_cache": "sink-window", "window": 32, "sinks": 4}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
