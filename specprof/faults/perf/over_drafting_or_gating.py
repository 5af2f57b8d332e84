"""So many tokens are drafted a round that most are never reached.

Seen in
    ggml-org/llama.cpp#25908 (7% of drafts stood at up to 64 a round), #3919, #3624;
    nibor1896/Crow#181.

Breaks
    Nothing: the gate that ends a draft at a doubtful token is set to 0, under a bound of 16.

Shows
    Accepted tokens a drafted one are few, a reached one as many as ever; a smaller K is faster.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class OverDraftingOrGating(Fault):
    """A gate that lets everything pass."""

    settings: ClassVar[dict[str, Value]] = {
        "depth_policy": "confidence",
        "confidence": 0.0,
        "depth": 16,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
