"""The parts of a rotary decoder, by names of our own. Holds weights, no state."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

Norm = Callable[[torch.Tensor], torch.Tensor]
"""From [..., width] to [..., width], row by row."""
Circle = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From [1, n] positions to cosines and sines [1, n, turned numbers] of one kind of layer."""


class Linear:
    """A projection. Those of a checkpoint that read the same rows are joined in one."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Take over a weight [out, in] and a bias [out]."""
        self.weight = weight
        self.bias = bias
        self._transposed = weight.t()  # [in, out] a view, made once

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Project [rows, in] to [rows, out]."""
        if self.bias is None:
            return torch.mm(rows, self._transposed)
        return torch.addmm(self.bias, rows, self._transposed)

    def transposed(self) -> "Linear":
        """Return the projection with a copy of its weight, laid out [in, out] in memory."""
        return Linear(self.weight.t().contiguous().t(), self.bias)

    def onto(self, base: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return `base` [rows, out] plus the projection of [rows, in], by one operation less."""
        if self.bias is not None:
            base = base + self.bias
        return torch.addmm(base, rows, self._transposed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """How one layer attends: its heads."""

    queries: int
    keys: int
    """Heads of keys, and as many of values: fewer than of queries where queries share a key."""
    size: int
    together: bool
    """Whether query, key and value of a head lie side by side (GPT-NeoX); else all queries come
    first."""
    scale: float
    norm: Norm | None
    """Applied to [..., queries + keys, size] queries and keys before they are turned."""
    window: int | None
    """How many positions a token sees, its own included; None: all."""
    kind: str
    """The name of its rotation and of its mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One layer."""

    module: torch.nn.Module
    """The layer that these parts were read from; its hooks are called with what passes."""
    heads: Heads
    before_attention: Norm
    into_attention: Linear
    """Projects to queries, keys and values."""
    out_of_attention: Linear
    after_attention: Norm | None
    before_mlp: Norm
    into_mlp: Linear
    out_of_mlp: Linear
    after_mlp: Norm | None
    act: Norm
    gated: bool
    """Whether `into_mlp` projects to gates, then to as many numbers that they scale."""
    parallel: bool
    """Whether the MLP reads the input of attention, not its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """A whole model."""

    embed: Callable[[torch.Tensor], torch.Tensor]
    """From [...] token ids to [..., width]."""
    blocks: tuple[Block, ...]
    circles: dict[str, Circle]
    """By kind of layer."""
    norm: torch.nn.Module
    """The last norm: the module itself, so that its hooks are called."""
    head: Linear


def transposed(parts: ModelParts) -> ModelParts:
    """Return the parts with a copy of every projection's weight, laid out [in, out] in memory.

    A CPU multiplies a few rows by such a weight a fifth faster: it need not transpose it.
    """
    names = ("into_attention", "out_of_attention", "into_mlp", "out_of_mlp")
    blocks = (
        replace(block, **{name: getattr(block, name).transposed() for name in names})
        for block in parts.blocks
    )
    return replace(parts, blocks=tuple(blocks), head=parts.head.transposed())
