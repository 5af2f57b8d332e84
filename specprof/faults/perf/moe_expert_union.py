"""Verifying n tokens reads the experts of all of them: it costs nearly n decodes.

Seen in
    jundot/omlx#2077; waybarrios/vllm-mlx#763; aws-neuron/nkipy#63; ml-explore/mlx-lm#1132.

Breaks
    A target forward waits a decode's worth for every token after its first.

Shows
    The verify span grows in proportion to the tokens verified, from two on.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import feeding_slowly, target
from specprof.settings import Value

EXPERTS_MS = 12.0
"""A token's own experts, about what a plain step takes."""


class MoeExpertUnion(Fault):
    """Nothing is shared between the tokens of a forward."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Wait for every token's experts but the first's."""
        return feeding_slowly(run, target, lambda n: EXPERTS_MS * (n - 1))
