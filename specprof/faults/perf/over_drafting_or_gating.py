"""So many tokens are drafted in each round that most are never reached.

Seen in
    ggml-org/llama.cpp#25908 (7% of drafts were accepted at up to 64 a round), #3919, #3624;
    nibor1896/Crow#181.

Breaks
    Nothing: the confidence at which a draft ends is set to 0, with a limit of 16 tokens.

Shows
    Few of the drafted tokens are accepted, but as many of the reached tokens as ever. A smaller K
    is faster.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class OverDraftingOrGating(Fault):
    """Never ends a draft early."""

    settings: ClassVar[dict[str, Value]] = {
        "depth_policy": "confidence",
        "confidence": 0.0,
        "depth": 16,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
