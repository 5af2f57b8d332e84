"""The flat decoder: a model's forward as one short function over its `ModelParts`.

It is called as the Hugging Face module would be and keeps its keys and values in the same stores,
so what holds for a cache holds for both. It leaves out what a module does around its arithmetic:
calls of modules within modules, new masks and new angles in every forward, projections one by one.
With a small model that takes most of a round.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from specprof.engine.flat.parts import Block, Heads, ModelParts
from specprof.engine.stores.masks import Mask

Turns = tuple[torch.Tensor, torch.Tensor]
"""[batch, n, 1, head size] cosines and signed sines of one kind of layer."""
MIN_TABLE_POSITIONS = 1024
"""Positions of a new table; its length doubles when the text outgrows it."""


@lru_cache
def _lower_right(count: int, seen: int) -> torch.Tensor:
    """Return the causal mask of the last `count` of `seen` columns, in a form GPU kernels know."""
    from torch.nn.attention.bias import causal_lower_right  # a prototype: it may move

    found: torch.Tensor = causal_lower_right(count, seen)
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What a forward returns; the field has the name that a Hugging Face model gives it."""

    logits: torch.Tensor
    """[batch, kept, vocab]"""


class Flat:
    """A causal model as one function of tokens, positions and stores."""

    def __init__(self, model: Any, parts: ModelParts) -> None:  # noqa: ANN401 - transformers is untyped
        self.config = model.config
        self.dtype = model.dtype
        self.parts = parts
        self._tables: dict[str, torch.Tensor] = {}
        """By kind of layer, [positions, 2, 1, head size] cosines and signed sines."""
        self._turning: dict[str, tuple[int, int, int]] = {}
        """By kind of layer, how a head's numbers split: first halves of pairs, second halves,
        unturned."""
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}
        self._outgrown: list[torch.Tensor] = []
        """Tables that became too short: recorded forwards still read them."""

    def __call__(
        self,
        input_ids: torch.Tensor,
        *,
        position_ids: torch.Tensor,
        cache: Any,  # noqa: ANN401
        attention_mask: Mask = None,
        logits_to_keep: int = 0,
        use_cache: bool = True,
    ) -> Answer:
        """Feed [batch, n] tokens at [batch, n] positions; return logits.

        `attention_mask` is what `masks.attention_mask` returns; None: each token sees all tokens
        before it. With `logits_to_keep`, only the last so many rows of each sequence have logits.
        """
        assert use_cache  # noqa: S101 - it always uses a cache
        batch, count = map(int, input_ids.shape)  # plain numbers, also while a forward is traced
        turns = self._turns(position_ids, cache, attention_mask)
        rows = self.parts.embed(input_ids).flatten(0, 1)  # [batch * n, width]
        for block, layer in zip(self.parts.blocks, cache.layers, strict=True):
            heads, before = block.heads, rows
            mask = attention_mask
            if isinstance(mask, dict):
                mask = mask[heads.kind]
            made = block.into_attention(block.before_attention(before)).view(batch, count, -1)
            attended = self._attend(heads, made, turns[heads.kind], layer, mask)
            rows = _finish_layer(block, before, attended.flatten(0, 1))
            _call_hooks(block.module, before, rows, batch)
        return Answer(self._logits(rows, batch, logits_to_keep))

    def _turns(self, positions: torch.Tensor, store: Any, mask: Mask) -> dict[str, Turns]:  # noqa: ANN401
        """Return, by kind of layer, what turns queries and keys at [batch, n] positions."""
        batch, count = map(int, positions.shape)
        straight = batch == 1 and mask is None
        needed = store.get_seq_length() + count
        self.reserve(needed, positions.device)
        found: dict[str, Turns] = {}
        for kind, table in self._tables.items():
            # The positions of a chain are known without asking the device: take a view of the
            # table.
            rows = table[needed - count : needed][None] if straight else table[positions]
            cos, sin = rows.unbind(2)
            found[kind] = cos, sin
        return found

    def reserve(self, needed: int, device: torch.device, count: int = 0) -> None:
        """Make tables for at least `needed` positions, and masks for chains of `count` tokens."""
        for kind in self.parts.circles:
            table = self._tables.get(kind)
            if table is None or table.shape[0] < needed:
                if table is not None:
                    self._outgrown.append(table)
                self._tables[kind] = self._table(kind, needed, device)
        for window in {each.heads.window for each in self.parts.blocks} if count > 1 else ():
            self._edge(count, needed, window, device)

    def _table(self, kind: str, needed: int, device: torch.device) -> torch.Tensor:
        """Make the table of a kind of layer for twice the positions `needed`."""
        size = next(each.heads.size for each in self.parts.blocks if each.heads.kind == kind)
        positions = torch.arange(max(MIN_TABLE_POSITIONS, 2 * needed), device=device)
        cos, sin = (each[0] for each in self.parts.circles[kind](positions[None]))
        turned = cos.shape[-1]
        half = turned // 2
        self._turning[kind] = half, half, size - turned
        still = cos.new_ones(len(positions), size - turned)
        signed = torch.cat([-sin[:, :half], sin[:, half:], torch.zeros_like(still)], -1)
        return torch.stack([torch.cat([cos, still], -1), signed], 1)[:, :, None]

    def _attend(
        self,
        heads: Heads,
        made: torch.Tensor,
        turns: Turns,
        layer: Any,  # noqa: ANN401
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return [batch, n, queries * size]: what each token takes from the tokens it may see.

        `made` is [batch, n, all heads * size], the output of the projection.
        """
        queries, keys, values = self._rotate(heads, made, turns)
        keys, values = layer.update(keys, values)
        count, seen = int(made.shape[1]), keys.shape[2]
        if mask is None:
            if heads.window and seen > heads.window + count - 1:
                seen = heads.window + count - 1
                keys, values = keys[:, :, -seen:], values[:, :, -seen:]
            if count > 1:
                mask = self._causal(count, seen, heads.window, made.device)
        return _attention(heads, queries, keys, values, mask)

    def _rotate(
        self, heads: Heads, made: torch.Tensor, turns: Turns
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return [batch, heads, n, size] queries, keys and values, the first two turned."""
        batch, count = map(int, made.shape[:2])
        if heads.together:
            every = made.view(batch, count, heads.queries, 3, heads.size).transpose(2, 3)
            both, values = every[:, :, :2], every[:, :, 2]  # [batch, n, 2, heads, size]
            cos, sin = turns[0][:, :, None], turns[1][:, :, None]
        else:
            every = made.view(batch, count, -1, heads.size)
            both, values = every.split_with_sizes([heads.queries + heads.keys, heads.keys], 2)
            cos, sin = turns
        if heads.norm is not None:
            both = heads.norm(both)
        first, second, still = both.split_with_sizes(self._turning[heads.kind], -1)
        turned = torch.addcmul(both * cos, torch.cat([second, first, still], -1), sin)
        if heads.together:
            queries, keys = turned.unbind(2)
        else:
            queries, keys = turned.split_with_sizes([heads.queries, heads.keys], 2)
        return queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)

    def _causal(
        self, count: int, seen: int, window: int | None, device: torch.device
    ) -> torch.Tensor:
        """Return the causal mask [n, seen]; the last columns are those of the `count` tokens.

        Counted from its right edge the mask is equal for every length: all masks are views of one
        table. The fastest kernels of a GPU take no mask, except for this one in a form they know.
        """
        if device.type == "cuda" and not window:
            return _lower_right(count, seen)
        known = self._edge(count, seen, window, device)
        edge = known[:, int(known.shape[1]) - seen :]
        return edge if device.type == "cpu" else edge.contiguous()  # GPU kernels need it so

    def _edge(
        self, count: int, needed: int, window: int | None, device: torch.device
    ) -> torch.Tensor:
        """Return [n, at least `needed`] a table whose last columns are the mask of a chain."""
        known = self._masks.get((count, window))
        if known is None or known.shape[1] < needed:
            wide = max(MIN_TABLE_POSITIONS, 2 * needed)
            row = torch.arange(wide - count, wide, device=device)[:, None]
            column = torch.arange(wide, device=device)
            hidden = column > row
            if window:
                hidden |= column <= row - window
            shown = torch.zeros(count, wide, dtype=self.dtype, device=device)
            known = shown.masked_fill_(hidden, torch.finfo(self.dtype).min)
            self._masks[count, window] = known
        return known

    def _logits(self, rows: torch.Tensor, batch: int, keep: int) -> torch.Tensor:
        """Return [batch, kept, vocab] logits; with `keep`, of each sequence's last rows only."""
        norm = self.parts.norm
        hidden = rows.view(batch, -1, rows.shape[-1])
        has_hooks = bool(norm._forward_hooks)  # noqa: SLF001 - a hook wants every row
        kept = norm(hidden)[:, -keep:] if has_hooks else norm(hidden[:, -keep:])
        logits = self.parts.head(kept.flatten(0, 1))
        return logits.view(batch, -1, logits.shape[-1])


def _attention(
    heads: Heads,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Return [batch, n, query heads * size] of [batch, heads, n or seen, size] states.

    `mask` is additive, [..., n, seen]. Queries that share a key become rows of one head: each key
    is read once, and the kernel does not have to support shared keys.
    """
    batch, _, count, size = map(int, queries.shape)
    shared, scale = heads.queries // heads.keys, heads.scale
    if shared == 1 or (mask is not None and type(mask) is not torch.Tensor):  # a form kernels know
        found = scaled_dot_product_attention(
            queries, keys, values, mask, scale=scale, enable_gqa=shared > 1
        )
        return found.transpose(1, 2).flatten(2)
    rows = queries.reshape(batch, -1, shared * count, size)
    if mask is not None:
        mask = mask.repeat(*[1] * (mask.ndim - 2), shared, 1)
    found = scaled_dot_product_attention(rows, keys, values, mask, scale=scale)
    return found.view(batch, heads.queries, count, size).transpose(1, 2).flatten(2)


def _finish_layer(block: Block, rows: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Return [rows, width] the output of a layer whose input was `rows`, from its attention."""
    if block.after_attention is None:
        added = block.out_of_attention.onto(rows, attended)
    else:
        added = rows + block.after_attention(block.out_of_attention(attended))
    made = _mlp(block, rows if block.parallel else added)
    if block.after_mlp is None:
        return block.out_of_mlp.onto(added, made)
    return added + block.after_mlp(block.out_of_mlp(made))


def _mlp(block: Block, rows: torch.Tensor) -> torch.Tensor:
    """Return [rows, inner] the input of an MLP's last projection."""
    made = block.into_mlp(block.before_mlp(rows))
    if block.gated:
        gates, made = made.chunk(2, -1)
        return block.act(gates) * made
    return block.act(made)


def _call_hooks(
    module: torch.nn.Module, before: torch.Tensor, after: torch.Tensor, batch: int
) -> None:
    """Call a layer's hooks with what entered and what left it: drafters read these states."""
    for hook in module._forward_pre_hooks.values():  # noqa: SLF001 - there is no public way
        hook(module, (before.view(batch, -1, before.shape[-1]),))
    for leave in module._forward_hooks.values():  # noqa: SLF001
        leave(module, (), after.view(batch, -1, after.shape[-1]))
