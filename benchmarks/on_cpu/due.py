"""The least work of a forward pass: the bytes it must read, and the flops of its matrix products.

It is counted from the weights and the rows that attention may see. It leaves out what an
implementation copies, masks or computes besides: norms, activations, rotations and softmax.
"""

from dataclasses import dataclass

from on_gpu.passes import count_bytes_read

from specprof.engine.flat import read
from specprof.engine.flat.parts import Block
from specprof.engine.setup.loading import Loaded
from specprof.engine.stores.window import Window


@dataclass(frozen=True, slots=True)
class LeastWork:
    """The work that one pass, or several, can't avoid."""

    weight_bytes: int
    """Every weight that it multiplies by, once a pass."""
    row_bytes: int
    """Stored keys and values that attention sees, once a pass for all tokens."""
    weight_flops: int
    """2 x numbers of the weights, for every token fed."""
    attention_flops: int
    """4 x heads x head size, for every token fed and every row it sees, its own included."""

    @property
    def read_bytes(self) -> int:
        """All bytes it reads."""
        return self.weight_bytes + self.row_bytes

    @property
    def flops(self) -> int:
        """All its multiplications and additions."""
        return self.weight_flops + self.attention_flops

    def __add__(self, other: "LeastWork") -> "LeastWork":
        return LeastWork(
            self.weight_bytes + other.weight_bytes,
            self.row_bytes + other.row_bytes,
            self.weight_flops + other.weight_flops,
            self.attention_flops + other.attention_flops,
        )


def least_work(loaded: Loaded, length: int, width: int, window: Window | None = None) -> LeastWork:
    """Return the least work of a pass over `width` tokens that follow `length` stored tokens.

    `window` is a streaming cache's; with None every row is seen. Raises UsageError for a model that
    the flat path doesn't know, because its matrices are not known either.
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
        heads, stored = block.heads, count_seen_rows(block, length, window) - 1
        row = 2 * heads.keys * heads.size * parts.head.weight.element_size()
        rows += stored * row  # later tokens see no stored row that the first doesn't
        looks = sum(count_seen_rows(block, length + each, window) for each in range(width))
        flops += 4 * heads.queries * heads.size * looks
    return LeastWork(
        weight_bytes=count_bytes_read(loaded, 0),
        row_bytes=rows,
        weight_flops=2 * sum(multiplied) * width,
        attention_flops=flops,
    )


def count_seen_rows(block: Block, position: int, window: Window | None) -> int:
    """Return the number of rows that the token at `position` sees in a layer, its own included."""
    kept = position + 1 - (window.evicted(position) if window else 0)
    return kept if block.heads.window is None else min(kept, block.heads.window)
