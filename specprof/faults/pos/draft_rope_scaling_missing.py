"""The draft's positions are not scaled as its configuration demands.

Seen in
    turboderp-org/exllamav2#204; turboderp-org/exui#21; theroyallab/tabbyAPI#23: the override of the
    RoPE scale reached the target only.

Breaks
    The draft's module rotates its keys twice as fast as its weights were trained for. So does a
    module that never applies a linear scaling by 2.

Shows
    Acceptance falls with depth, from half the length that the draft was trained for. The recheck
    shares the mistake, so the state is right. Only one fact distinguishes it from a mismatch: the
    loaded module's rotation is not the configured one. At temperature 0 too.
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

MISSING_SCALE = 2.0
"""Linear scaling that the draft fails to apply."""


class DraftRopeScalingMissing(Fault):
    """Breaks the configuration, which the run and the recheck both use."""

    settings: ClassVar[dict[str, Value]] = {"context": 480}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Rotate the draft's keys faster, and read the draft's facts from the changed module.

        Raises UsageError where the draft has no weights of its own.
        """
        draft = run.draft
        if draft is None or draft.model is run.target.model:
            title = "the fault pos/draft-rope-scaling-missing needs a draft model of its own"
            raise UsageError(title, "use --drafter draft-model")
        with ExitStack() as stack:
            for name, speeds in draft.model.named_buffers():
                if name.rpartition(".")[2] == "inv_freq":
                    stack.enter_context(_scale_speeds(speeds))
            facts = facts_of(draft.facts.name, draft.model)
            stack.enter_context(swapped(draft, facts=facts))
            yield


@contextmanager
def _scale_speeds(speeds: torch.Tensor) -> Iterator[None]:
    """Multiply [pairs] angles, in radians per position, inside the block."""
    before = speeds.clone()
    speeds.mul_(MISSING_SCALE)
    try:
        yield
    finally:
        speeds.copy_(before)
