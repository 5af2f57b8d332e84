"""Every token's keys and values are kept; rolling back only forgets the newest."""

import torch

from specprof.engine.stores.dense import Store
from specprof.extend import Cache


class Dense(Cache):
    """The plain cache: memory grows with the context."""

    def open(self, model: torch.nn.Module, capacity: int) -> Store:
        """Return a store for `capacity` tokens of `model`."""
        config = model.config.get_text_config()  # type: ignore[operator,union-attr]
        return Store(config.num_hidden_layers, capacity)
