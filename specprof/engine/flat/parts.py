"""What a rotary decoder is made of, whatever its architecture calls it. Holds weights, no state."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

Norm = Callable[[torch.Tensor], torch.Tensor]
"""From [..., width] to the same, row by row."""
Circle = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From [1, n] positions to cosines and sines [1, n, turned] of one kind of layer."""


class Linear:
    """A projection; several of a checkpoint's in one where they read the same rows."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Take [out, in] a weight and [out] a bias over as they are."""
        self.weight = weight
        self.bias = bias
        self._turned = weight.t()  # [in, out] a view, made once

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return [rows, out] of [rows, in]."""
        if self.bias is None:
            return torch.mm(rows, self._turned)
        return torch.addmm(self.bias, rows, self._turned)

    def turned(self) -> "Linear":
        """Return the same with its weight laid out [in, out], in a copy of its own."""
        return Linear(self.weight.t().contiguous().t(), self.bias)

    def onto(self, base: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return [rows, out] what it makes of [rows, in], added to `base`: one operation less."""
        if self.bias is not None:
            base = base + self.bias
        return torch.addmm(base, rows, self._turned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """How one layer attends."""

    queries: int
    keys: int
    """Heads of keys, and of values; fewer than of queries where these share them."""
    size: int
    together: bool
    """Whether a head's query, key and value lie side by side (GPT-NeoX), not all queries first."""
    scale: float
    norm: Norm | None
    """Of [..., queries + keys, size] queries and keys before they are turned."""
    window: int | None
    """Positions seen, its own included; None: all."""
    kind: str
    """Which rotation turns it, and which mask it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One layer."""

    module: torch.nn.Module
    """The layer these parts were read from: whoever listens at it hears of what passes."""
    heads: Heads
    before_attention: Norm
    into_attention: Linear
    """To queries, keys and values."""
    out_of_attention: Linear
    after_attention: Norm | None
    before_mlp: Norm
    into_mlp: Linear
    out_of_mlp: Linear
    after_mlp: Norm | None
    act: Norm
    gated: bool
    """Whether `into_mlp` makes a gate for every number, the gates first."""
    parallel: bool
    """Whether the MLP reads what attention read, and not what attention made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """A whole model."""

    embed: Callable[[torch.Tensor], torch.Tensor]
    """From [...] token ids to [..., width]."""
    blocks: tuple[Block, ...]
    circles: dict[str, Circle]
    """By kind of layer."""
    norm: torch.nn.Module
    """The last one; a module, for whoever listens at it."""
    head: Linear


def turned(parts: ModelParts) -> ModelParts:
    """Return the same parts with every projection laid out [in, out], in copies of their own.

    A CPU multiplies a few rows by that a fifth faster: nothing has to be turned on the way.
    """
    names = ("into_attention", "out_of_attention", "into_mlp", "out_of_mlp")
    blocks = (
        replace(block, **{name: getattr(block, name).turned() for name in names})
        for block in parts.blocks
    )
    return replace(parts, blocks=tuple(blocks), head=parts.head.turned())
