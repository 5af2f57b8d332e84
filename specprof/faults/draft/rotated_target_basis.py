"""A head reads hidden states in a rotated basis, but was trained in the plain basis.

Seen in
    vllm-project/vllm-ascend#7038 and #5974: targets that were rotated to be quantised.

Breaks
    The target's hidden states are multiplied by an orthogonal matrix where the head reads them.

Shows
    Acceptance is next to nothing from index 0 on, at every depth. No state is wrong: the recheck of
    the head reads the same target. At temperature 0 too.
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
    """Gives the head the right states in another basis."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Rotate the target's states in the input of the head's `fc`.

        In EAGLE they follow the token's embedding. In EAGLE-3 they are the whole input, several
        layers' states, and each is rotated by the same matrix.
        """
        head = head_of(run)
        size = head.form.feature_width
        drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(size))
        basis = torch.linalg.qr(drawn).Q.to(head.fc.weight)

        def turn(_: object, given: tuple[torch.Tensor]) -> torch.Tensor:
            embedded = 0 if head.form.third else head.config.hidden_size
            states = torch.split(given[0][..., embedded:], size, -1)  # a chunk for each layer
            return torch.cat([given[0][..., :embedded], *(each @ basis for each in states)], -1)

        hook = head.fc.register_forward_pre_hook(turn)
        try:
            yield
        finally:
            hook.remove()
