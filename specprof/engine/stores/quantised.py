"""A store whose rows are rounded to 8 bits, each row by a scale of its own."""

import torch

from specprof.engine.stores.dense import PreallocatedLayer, Store

LEVELS = 127
"""Steps from 0 to the largest number of a row."""


def quantise(states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [..., size] int8 steps for [..., size] states, and [..., 1] float32 scales.

    Rounding is symmetric and to the nearest step: no number moves by more than half the scale.
    """
    scale = states.abs().amax(-1, keepdim=True).float() / LEVELS
    steps = states.float() / scale.clamp(min=torch.finfo(torch.float32).tiny)
    return steps.round().to(torch.int8), scale


def dequantise(steps: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return [..., size] states from the steps and scales that `quantise` returned."""
    return (steps * scale).to(dtype)


class QuantisedStore(Store):
    """Keys and values in 8 bits; positions, trees and rollback are as in `Store`."""

    def _layer(self, number: int) -> PreallocatedLayer:
        del number
        return QuantisedLayer(self)


class QuantisedLayer(PreallocatedLayer):
    """One layer's rows as int8, with a scale for each row of each head."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Reserve `capacity` rows; states are [1, heads, new, head size]."""
        rooms = []
        for states in (key_states, value_states):
            batch, heads, _, size = states.shape
            shape = (batch, heads, self.store.capacity)
            rooms += [
                states.new_zeros(*shape, size, dtype=torch.int8),
                states.new_zeros(*shape, 1, dtype=torch.float32),
            ]
        self.keys, self.key_scales, self.values, self.value_scales = rooms
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new rows [1, heads, new, head size]; return all rows so far, dequantised."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.store.length, self.store.length + key_states.shape[2]
        found = []
        for states, room, scales in (
            (key_states, self.keys, self.key_scales),
            (value_states, self.values, self.value_scales),
        ):
            room[:, :, start:end], scales[:, :, start:end] = quantise(states)
            found.append(dequantise(room[:, :, :end], scales[:, :, :end], states.dtype))
        return found[0], found[1]

    def move(self, rows: torch.Tensor, start: int) -> None:
        """Move [n] `rows` together, in their order, from row `start` on."""
        super().move(rows, start)
        for scales in (self.key_scales, self.value_scales):
            scales[:, :, start : start + rows.shape[0]] = scales[:, :, rows]

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token's key and value and their scales; 0 before the first token."""
        if not self.is_initialized:
            return 0
        held = (self.keys, self.values, self.key_scales, self.value_scales)
        return sum(each[:, :, 0].numel() * each.element_size() for each in held)
