"""The last token is decoded by itself, and then once more together with the drafts.

Seen in
    ollama/ollama#16791: the two now share one forward.

Breaks
    A target forward over the last committed token goes before every verification.

Shows
    Two target forwards a round, and so fewer tokens a forward than one more than were accepted.
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
    """Decode, then verify."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Decode before every verification, and forget it again."""
        del run
        verify = Loop._verify  # noqa: SLF001 - the place to break

        def twice(loop: Loop, last: int, proposal: Proposal) -> torch.Tensor:
            if proposal.tokens.shape[0]:
                target = loop.target
                target.feed(on_device([last], target.device))
                target.rollback(target.length - 1)
            return verify(loop, last, proposal)

        return swapped(Loop, _verify=twice)
