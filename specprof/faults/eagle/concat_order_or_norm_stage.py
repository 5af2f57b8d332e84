"""A head joins hidden state and embedding in the wrong order.

Seen in
    ml-explore/mlx-lm#1469.

Breaks
    The head was trained to read [embedding, hidden state]. It is given [hidden state, embedding].

Shows
    Acceptance is next to nothing from index 0 on, at every depth. No state is wrong: the recheck of
    the head joins the two in the wrong order too. At temperature 0 too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._features import head_of
from specprof.settings import Value


class ConcatOrderOrNormStage(Fault):
    """Exchanges the halves of the head's input."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Exchange the halves where they are first read: attention, or EAGLE's `fc`."""
        head: Any = head_of(run)
        reader = head.layers[0].self_attn if head.form.third else head.fc
        hook = reader.register_forward_pre_hook(_exchange_halves)
        try:
            yield
        finally:
            hook.remove()


def _exchange_halves(_: object, given: tuple[torch.Tensor]) -> torch.Tensor:
    first, second = given[0].chunk(2, -1)
    return torch.cat([second, first], -1)
