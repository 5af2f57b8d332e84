"""Verifying a few tokens costs several decodes, because it runs the kernel for prompts.

Seen in
    ggml-org/llama.cpp#27635, #3649, #17034; Pushkinist/rMLX#516; lvyufeng/PocketLLM#59.

Breaks
    A target forward over more than two tokens waits as long as a whole tile takes.

Shows
    The verify span takes as long as several plain steps, however many drafts are accepted. Drafting
    takes as long as before.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._waits import slow_feeds, verifying_decoder
from specprof.settings import Value

MAX_DECODE_TOKENS = 2
"""Tokens that the kernel for decoding takes."""
TILE_MS = 40.0


class VerifyKernelCliff(Fault):
    """Makes a forward's cost jump at a width of three tokens."""

    settings: ClassVar[dict[str, Value]] = {"stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Wait at every forward that is too wide for the decoding kernel."""
        return slow_feeds(
            run, verifying_decoder, lambda n: TILE_MS if n > MAX_DECODE_TOKENS else 0.0
        )
