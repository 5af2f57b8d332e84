"""The cache grows by copying itself: every step copies all of it, and both copies stay.

Seen in
    huggingface/transformers#30536; NVIDIA/TensorRT-LLM#9279 (a draft's cache as large as its
    target's).

Breaks
    At every forward each layer copies its old and new rows into fresh memory, and keeps both
    copies.

Shows
    A token takes twice the memory that layers, heads and width add up to. The time of a step grows
    with the context.
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
    """Concatenates rows instead of preallocating them."""

    settings: ClassVar[dict[str, Value]] = {"context": 2000, "stops": 6}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Make every layer concatenate its old rows and the new ones."""
        del run
        update, per_token = PreallocatedLayer.update, PreallocatedLayer.bytes_per_token
        copies: dict[PreallocatedLayer, tuple[torch.Tensor, torch.Tensor]] = {}

        def concatenate(
            layer: PreallocatedLayer, keys: torch.Tensor, values: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            rows = update(layer, keys, values)
            old = rows[0].shape[2] - keys.shape[2]
            copies[layer] = (
                torch.cat([rows[0][:, :, :old], keys], 2),
                torch.cat([rows[1][:, :, :old], values], 2),
            )
            return copies[layer]

        def twice_bytes(layer: PreallocatedLayer) -> int:
            return 2 * int(per_token.__get__(layer))

        return swapped(PreallocatedLayer, update=concatenate, bytes_per_token=property(twice_bytes))
