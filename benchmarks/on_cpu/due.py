"""The least a forward pass must do: bytes it must read, and operations of its matrix products.

Counted from the weights and the rows attention may see, whatever an implementation copies, masks or
computes beside it: norms, activations, rotations and softmax are not in it.
"""

from dataclasses import dataclass

from on_gpu.passes import bytes_read

from specprof.engine.flat import read
from specprof.engine.flat.parts import Block
from specprof.engine.setup.loading import Loaded
from specprof.engine.stores.window import Window


@dataclass(frozen=True, slots=True)
class Due:
    """What one pass, or several, can't do without."""

    weight_bytes: int
    """Every weight it multiplies by, once a pass."""
    row_bytes: int
    """Stored keys and values attention sees, once a pass however many tokens look at them."""
    weight_flops: int
    """2 x numbers of the weights, for every token fed."""
    attention_flops: int
    """4 x heads x head size, for every token fed and every row it sees, its own included."""

    @property
    def read_bytes(self) -> int:
        """All it reads."""
        return self.weight_bytes + self.row_bytes

    @property
    def flops(self) -> int:
        """All it multiplies and adds."""
        return self.weight_flops + self.attention_flops

    def __add__(self, other: "Due") -> "Due":
        return Due(
            self.weight_bytes + other.weight_bytes,
            self.row_bytes + other.row_bytes,
            self.weight_flops + other.weight_flops,
            self.attention_flops + other.attention_flops,
        )


def due(loaded: Loaded, length: int, width: int, window: Window | None = None) -> Due:
    """Return what a pass over `width` tokens must do that follow `length` stored ones.

    `window` is a streaming cache's; None: every row is seen. Raises UsageError for a model that the
    flat path doesn't know: what it multiplies by is not known either.
    """
    parts = read.parts(loaded.model)
    multiplied = [parts.head.weight.numel()]
    rows = flops = 0
    for block in parts.blocks:
        projections = (
            block.into_attention,
            block.out_of_attention,
            block.into_mlp,
            block.out_of_mlp,
        )
        multiplied += [each.weight.numel() for each in projections]
        heads, stored = block.heads, seen(block, length, window) - 1
        row = 2 * heads.keys * heads.size * parts.head.weight.element_size()
        rows += stored * row  # those that follow see no stored row the first one doesn't
        looks = sum(seen(block, length + each, window) for each in range(width))
        flops += 4 * heads.queries * heads.size * looks
    return Due(
        weight_bytes=bytes_read(loaded, 0),
        row_bytes=rows,
        weight_flops=2 * sum(multiplied) * width,
        attention_flops=flops,
    )


def seen(block: Block, position: int, window: Window | None) -> int:
    """Return how many rows the token at `position` sees in one layer, its own included."""
    kept = position + 1 - (window.evicted(position) if window else 0)
    return kept if block.heads.window is None else min(kept, block.heads.window)
