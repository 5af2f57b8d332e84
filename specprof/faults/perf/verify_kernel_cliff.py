"""Verifying a handful of tokens costs several decodes: their kernel is made for a prompt.

Seen in
    ggml-org/llama.cpp#27635, #3649, #17034; Pushkinist/rMLX#516; lvyufeng/PocketLLM#59.

Breaks
    A target forward over more than two tokens waits the cost of a whole tile.

Shows
    The verify span takes several plain steps, whatever is accepted; drafting costs what it did.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import feeding_slowly, target
from specprof.settings import Value

LARGEST = 2
"""Tokens of the kernel for decoding."""
TILE_MS = 40.0


class VerifyKernelCliff(Fault):
    """A step in the cost of a forward over its width."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Wait wherever a forward is wider than decoding."""
        return feeding_slowly(run, target, lambda n: TILE_MS if n > LARGEST else 0.0)
