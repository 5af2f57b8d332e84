"""The draft reads further than it was ever trained to.

Seen in
    vllm-project/speculators#684; sgl-project/sglang#6783; vllm-project/vllm-ascend#10023.

Breaks
    Nothing: the walk goes on to eight times the length the draft knows.

Shows
    What the draft is owed falls past its trained length; state, law and accept rule are clean.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class ContextBeyondTraining(Fault):
    """A draft of 512 positions at 4,000."""

    settings: ClassVar[dict[str, Value]] = {
        "context": 4000,
        "stops": 30,
        "max_new_tokens": 32,
        "recheck_context": 700,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
