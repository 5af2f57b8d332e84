"""A head's block returns its own output without the residual that it should be added to.

Seen in
    vllm-project/vllm#14464: a placeholder norm passed on the hidden state and left out the
    residual.

Breaks
    The last block's residual is missing from the state that becomes logits and that the next step
    reads.

Shows
    Acceptance is low at every index and depth, far below what the head was trained to reach. No
    state is wrong: the recheck of the head has the same block. At temperature 0 too.
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
    """Loses the first term of the residual sum."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Subtract the last norm's input, which is the residual, from the last block's output."""
        block: Any = head_of(run).layers[-1]
        residual = torch.empty(0)

        def keep_residual(_: object, given: tuple[torch.Tensor]) -> None:
            nonlocal residual
            residual = given[0]

        def subtract_residual(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
            return output - residual

        hooks = [
            block.post_attention_layernorm.register_forward_pre_hook(keep_residual),
            block.register_forward_hook(subtract_residual),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
