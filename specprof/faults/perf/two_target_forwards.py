"""The last token is decoded by itself, and then once more together with the drafts.

Seen in
    ollama/ollama#16791 (mended: the two now share one forward).

Breaks
    Before every verification the target runs a forward over the last committed token.

Shows
    A round takes two target forwards. So it emits fewer tokens per target forward than the accepted
    ones plus one.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.loop import Loop
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.engine.transfer import on_device
from specprof.extend import Proposal


class TwoTargetForwards(Fault):
    """Decodes, then verifies."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Decode before every verification, and roll the decode back."""
        del run
        verify = Loop._verify  # noqa: SLF001 - the place to break

        def decode_and_verify(loop: Loop, last: int, proposal: Proposal) -> torch.Tensor:
            if proposal.tokens.shape[0]:
                target = loop.target
                target.feed(on_device([last], target.device))
                target.rollback(target.length - 1)
            return verify(loop, last, proposal)

        return swapped(Loop, _verify=decode_and_verify)
