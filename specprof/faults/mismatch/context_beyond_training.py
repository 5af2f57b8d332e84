"""The draft reads longer contexts than it was trained on.

Seen in
    vllm-project/speculators#684; sgl-project/sglang#6783; vllm-project/vllm-ascend#10023.

Breaks
    Nothing: the run goes on to eight times the length that the draft was trained on.

Shows
    The overlap falls past the draft's trained length. State, draft distribution and accept rule are
    right.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class ContextBeyondTraining(Fault):
    """Runs a draft trained on 512 positions up to 4,000."""

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
