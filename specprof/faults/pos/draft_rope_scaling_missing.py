"""The draft's positions are not scaled as its configuration asks.

Seen in
    turboderp-org/exllamav2#204; turboderp-org/exui#21; theroyallab/tabbyAPI#23: the override of the
    RoPE scale reached the target only.

Breaks
    The draft's module turns its keys twice as fast as its weights were made for, as one does whose
    linear scaling by 2 was never applied.

Shows
    Acceptance falls with depth, from half the length the draft was trained for. Both passes share
    the mistake, so state is clean; that the loaded module's rotation is not the configured one is
    all that tells it from a mismatch. At temperature 0 too.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.engine.setup.loading import facts_of
from specprof.errors import UsageError
from specprof.settings import Value

FACTOR = 2.0
"""The scaling that is missing."""


class DraftRopeScalingMissing(Fault):
    """A configuration error: the run acts on it, and so does whatever recomputes it."""

    settings: ClassVar[dict[str, Value]] = {"context": 480}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Turn the draft's keys faster, and tell its facts as they are then."""
        draft = run.draft
        if draft is None or draft.model is run.target.model:
            title = "the fault pos/draft-rope-scaling-missing needs a draft model of its own"
            raise UsageError(title, "use --drafter draft-model")
        with ExitStack() as stack:
            for name, speeds in draft.model.named_buffers():
                if name.rpartition(".")[2] == "inv_freq":
                    stack.enter_context(_scaled(speeds))
            facts = facts_of(draft.facts.name, draft.model)
            stack.enter_context(swapped(draft, facts=facts))
            yield


@contextmanager
def _scaled(speeds: torch.Tensor) -> Iterator[None]:
    """Multiply [pairs] radians a position inside the block."""
    before = speeds.clone()
    speeds.mul_(FACTOR)
    try:
        yield
    finally:
        speeds.copy_(before)
