"""A head is given hidden states in a rotated basis, and was trained in the plain one.

Seen in
    vllm-project/vllm-ascend#7038 and #5974: targets that were rotated to be quantised.

Breaks
    The target's hidden states are turned by an orthogonal matrix as the head reads them.

Shows
    Acceptance is next to nothing from index 0 on, at every depth. No state is wrong: whatever
    recomputes the head reads the same target. At temperature 0 too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._features import head_of
from specprof.settings import Value


class RotatedTargetBasis(Fault):
    """The same states, told otherwise."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Turn what the head's `fc` reads of the target: all of it, or what follows EAGLE's token.

        EAGLE-3 reads several layers' states, each turned alike.
        """
        head = head_of(run)
        size = head.form.feature_width
        drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(size))
        basis = torch.linalg.qr(drawn).Q.to(head.fc.weight)

        def turn(_: object, given: tuple[torch.Tensor]) -> torch.Tensor:
            embedded = 0 if head.form.third else head.config.hidden_size
            states = torch.split(given[0][..., embedded:], size, -1)  # one a layer that is read
            return torch.cat([given[0][..., :embedded], *(each @ basis for each in states)], -1)

        hook = head.fc.register_forward_pre_hook(turn)
        try:
            yield
        finally:
            hook.remove()
