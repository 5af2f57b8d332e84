"""The draft costs so much that no acceptance pays for it.

Seen in
    vllm-project/vllm#15025, #21278; ml-explore/mlx-lm#1132; ggml-org/llama.cpp#25908.

Breaks
    Nothing: the target drafts for itself, with a little noise; four target forwards a round beside
    the verification.

Shows
    Nearly all stands and nothing is gained; the draft's step takes its share of the weights, and
    the speed is the one its cost predicts.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class DraftCostRatio(Fault):
    """As large as the target."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "perturbed-self", "draft": None}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
