"""The key-value store of one sequence: preallocated, positions owned, rolled back for free.

A row is written once and never moved; rolling back only lowers `length`, so a rejected token costs
nothing and what stays is bit for bit what was computed. transformers' growing cache would copy the
whole store at every step, a quarter gigabyte a token at 20k tokens of the pocket target.
"""

import torch
from transformers.cache_utils import Cache as TransformersCache
from transformers.cache_utils import CacheLayerMixin

from specprof.errors import SpecprofError


class Store(TransformersCache):  # type: ignore[misc]  # transformers is untyped here
    """Every layer's keys and values for `capacity` tokens, of which `length` are filled."""

    def __init__(self, layers: int, capacity: int) -> None:
        self.length = 0
        self.capacity = capacity
        super().__init__(layers=[PreallocatedLayer(self) for _ in range(layers)])

    def positions(self, count: int, device: torch.device) -> torch.Tensor:
        """Return [1, count] the next tokens' position ids: the only source of them."""
        if self.length + count > self.capacity:
            title = (
                f"the cache holds {self.capacity} tokens; {self.length + count} were asked of it"
            )
            raise SpecprofError(title, "this is a fault of specprof's own; please report it")
        return torch.arange(self.length, self.length + count, device=device)[None]

    def advance(self, count: int) -> None:
        """Count `count` tokens as stored; every layer has written them."""
        self.length += count

    def rollback(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if not 0 <= length <= self.length:
            title = f"can't roll a cache of {self.length} tokens back to {length}"
            raise SpecprofError(title, "a drafter or backend asked for tokens it never fed")
        self.length = length

    @property
    def kv_bytes(self) -> int:
        """Bytes of the filled part, all layers, keys and values."""
        per_token: int = sum(layer.bytes_per_token for layer in self.layers)
        return self.length * per_token


class PreallocatedLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's rows, in the form transformers' attention asks for."""

    is_sliding = False
    """A sliding-window layer keeps every row too; its mask does the windowing, so that rows a
    rollback needs are still there (huggingface/transformers#45745)."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Reserve room for `capacity` rows; states are [1, heads, new, head size]."""
        self.keys = _room(key_states, self.store.capacity)
        self.values = _room(value_states, self.store.capacity)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new rows [1, heads, new, head size] and return all rows so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.store.length, self.store.length + key_states.shape[2]
        self.keys[:, :, start:end] = key_states
        self.values[:, :, start:end] = value_states
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many columns the mask has, and where they start."""
        return self.store.length + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many tokens are stored."""
        return self.store.length

    def get_max_length(self) -> int:
        """Return how many tokens fit."""
        return self.store.capacity

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token's key and value in this layer; 0 before the first token."""
        if not self.is_initialized:
            return 0
        return (
            self.keys[:, :, 0].numel() + self.values[:, :, 0].numel()
        ) * self.keys.element_size()


def _room(states: torch.Tensor, capacity: int) -> torch.Tensor:
    batch, heads, _, size = states.shape
    return torch.zeros(batch, heads, capacity, size, dtype=states.dtype, device=states.device)
