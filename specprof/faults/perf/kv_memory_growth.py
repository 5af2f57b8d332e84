"""The cache grows by copying itself: every step moves all of it, and holds it twice.

Seen in
    huggingface/transformers#30536; NVIDIA/TensorRT-LLM#9279 (a draft's cache as large as its
    target's).

Breaks
    Each layer joins its rows and the new ones into fresh memory at every forward, and keeps both.

Shows
    A token takes twice the memory that its layers, heads and width come to; the time of a step
    grows with the context.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.engine.stores.dense import PreallocatedLayer
from specprof.settings import Value


class KvMemoryGrowth(Fault):
    """Joined, not preallocated."""

    settings: ClassVar[dict[str, Value]] = {"context": 2000, "stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Have every layer written to by joining."""
        del run
        update, per_token = PreallocatedLayer.update, PreallocatedLayer.bytes_per_token
        copies: dict[PreallocatedLayer, tuple[torch.Tensor, torch.Tensor]] = {}

        def joined(
            layer: PreallocatedLayer, keys: torch.Tensor, values: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            rows = update(layer, keys, values)
            old = rows[0].shape[2] - keys.shape[2]
            copies[layer] = (
                torch.cat([rows[0][:, :, :old], keys], 2),
                torch.cat([rows[1][:, :, :old], values], 2),
            )
            return copies[layer]

        def twice(layer: PreallocatedLayer) -> int:
            return 2 * int(per_token.__get__(layer))

        return swapped(PreallocatedLayer, update=joined, bytes_per_token=property(twice))
