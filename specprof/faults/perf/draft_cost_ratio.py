"""The draft costs so much that no acceptance rate makes up for it.

Seen in
    vllm-project/vllm#15025, #21278; ml-explore/mlx-lm#1132; ggml-org/llama.cpp#25908.

Breaks
    Nothing: the target drafts for itself, with a little noise. That takes four target forwards a
    round beside the verification.

Shows
    Nearly all drafts are accepted, but nothing is gained. The draft's step takes as long as its
    share of the weights, and the speed is the one that its cost predicts.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.settings import Value


class DraftCostRatio(Fault):
    """Uses a draft as large as the target."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "perturbed-self", "draft": None}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Change nothing: the settings are the case."""
        del run
        return nullcontext()
