"""A head's block returns what it adds, without what it adds it to.

Seen in
    vllm-project/vllm#14464: a placeholder norm passed on the hidden state and left the residual.

Breaks
    The last block's residual is missing from the state that becomes logits, and that the next step
    reads.

Shows
    Acceptance is low at every index, at every depth alike, far below what the head was trained to.
    No state is wrong: whatever recomputes the head has the same block. At temperature 0 too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._features import head_of
from specprof.settings import Value


class ResidualDroppedBeforeHead(Fault):
    """The sum's first term is lost."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Take out of the last block's answer what its last norm was given."""
        block: Any = head_of(run).layers[-1]
        residual = torch.empty(0)

        def norm(_: object, given: tuple[torch.Tensor]) -> None:
            nonlocal residual
            residual = given[0]

        def answer(_: object, __: object, found: torch.Tensor) -> torch.Tensor:
            return found - residual

        hooks = [
            block.post_attention_layernorm.register_forward_pre_hook(norm),
            block.register_forward_hook(answer),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
