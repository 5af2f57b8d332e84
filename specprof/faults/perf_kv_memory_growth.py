"""The cache grows by copying itself: every step moves all of it, and holds it twice.

Seen in
    huggingface/transformers#30536; NVIDIA/TensorRT-LLM#9279 (a draft's cache as large as its
    target's).

Breaks
    Each layer joins its rows and the new ones into fresh memory at every forward, and the old rows
    are let go of only after the next.

Shows
    A token takes twice the memory that its layers, heads and width come to; the time of a step
    grows with the context.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.cache import PreallocatedLayer
from specprof.engine.wiring import Wired
from specprof.extend import Fault
from specprof.faults._patch import swapped
from specprof.settings import Value


class KvMemoryGrowth(Fault):
    """Joined, not preallocated."""

    stage: ClassVar[dict[str, Value]] = {"context": 2000, "stops": 6}

    def inject(self, wired: Wired) -> AbstractContextManager[None]:
        """Have every layer written to by joining."""
        del wired
        update, per_token = PreallocatedLayer.update, PreallocatedLayer.bytes_per_token
        before: dict[PreallocatedLayer, tuple[torch.Tensor, torch.Tensor]] = {}

        def joined(
            layer: PreallocatedLayer, keys: torch.Tensor, values: torch.Tensor, *more: object
        ) -> tuple[torch.Tensor, torch.Tensor]:
            if not layer.is_initialized:
                return update(layer, keys, values, *more)
            start = layer.store.length - layer.store.dropped
            before[layer] = layer.keys, layer.values
            layer.keys = torch.cat([layer.keys[:, :, :start], keys], 2)
            layer.values = torch.cat([layer.values[:, :, :start], values], 2)
            return layer.keys, layer.values

        def twice(layer: PreallocatedLayer) -> int:
            return 2 * int(per_token.__get__(layer))

        return swapped(PreallocatedLayer, update=joined, bytes_per_token=property(twice))
