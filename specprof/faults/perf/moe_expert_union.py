"""Verifying n tokens reads the experts of all n, and so costs nearly as much as n decodes.

Seen in
    jundot/omlx#2077; waybarrios/vllm-mlx#763; aws-neuron/nkipy#63; ml-explore/mlx-lm#1132.

Breaks
    A target forward waits about the time of one decode for every token after its first.

Shows
    From two verified tokens on, the verify span grows in proportion to their number.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import slow_feeds, verifying_decoder
from specprof.settings import Value

EXPERTS_MS_PER_TOKEN = 12.0
"""Time for a token's own experts, about the time of a plain step."""


class MoeExpertUnion(Fault):
    """Shares no expert between the tokens of a forward."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Wait for the experts of every token after the first."""
        return slow_feeds(run, verifying_decoder, lambda n: EXPERTS_MS_PER_TOKEN * (n - 1))
