"""Keys and values in 8 bits with a scale a row: a quarter to a half of the dense cache's bytes.

transformers' QuantizedCache can't serve here. It keeps recent rows whole and later quantises all of
them anew, so what a token sees depends on how it was fed, and the quantised part can't be rolled
back. Here a row is rounded once, when it is written, and its own token reads it rounded too. So the
law depends neither on the chunks nor on rollbacks.
"""

import torch

from specprof.engine.recheck.reference import Rounded
from specprof.engine.stores.quantised import QuantisedStore
from specprof.extend import Cache


class Quantised(Cache):
    """Lossy against the dense cache: its law is that of the model with rounded keys and values.

    Rows are converted to full precision at every read, so it saves memory and costs time.
    """

    def open(self, model: torch.nn.Module, capacity: int) -> QuantisedStore:
        """Return a store for `capacity` tokens of `model`."""
        config = model.config.get_text_config()  # type: ignore[operator,union-attr]
        return QuantisedStore(config.num_hidden_layers, capacity)

    def plain(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return a module that attends to rounded keys and values, over bare tokens."""
        return Rounded(model)
