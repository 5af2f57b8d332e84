"""StreamingLLM: the first tokens and a window of the latest, at positions inside the cache."""

import torch

from specprof.engine.decoder import PREFILL_CHUNK
from specprof.engine.recheck.reference import Windowed
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window, WindowStore
from specprof.errors import UsageError
from specprof.extend import Cache

SERVED_LAYER_KINDS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose view depends on distance alone."""


class SinkWindow(Cache):
    """Memory stays constant for a text of any length; what left the window is forgotten.

    arXiv 2309.17453. A layer that slides by itself keeps its own window as well, counted inside the
    cache: it doesn't see sinks that are further away.
    """

    def open(self, model: torch.nn.Module, capacity: int) -> WindowStore:
        """Return a store for `model`; UsageError where its stored keys can't be moved."""
        config = model.config.get_text_config()  # type: ignore[operator,union-attr]
        other = set(getattr(config, "layer_types", None) or ()) - SERVED_LAYER_KINDS
        if other:
            title = f"the cache sink-window can't serve {other.pop()} layers ({config.model_type})"
            raise UsageError(title, "use the cache dense for this model")
        return WindowStore(
            rotations(model),
            self.window,
            capacity,
            reach=capacity - self.settings.context,
            rows=self.held(capacity),
        )

    def held(self, capacity: int) -> int:
        """Return the rows of a store: the window, the most a burst rolls back, the largest feed."""
        settings = self.settings
        fed = max(PREFILL_CHUNK, settings.score_step if settings.workload == "ppl" else 0)
        return min(capacity, self.window.widest + capacity - settings.context + fed)

    def plain(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return a module that attends by the streaming rule, over bare tokens."""
        return Windowed(model, rotations(model), self.window)

    @property
    def window(self) -> Window:
        """The sinks and the window that the settings ask for."""
        return Window(self.settings.sinks, self.settings.window, self.settings.block)
