"""The target drafts for itself, over a cache of its own: every token should be accepted.

A control, not a method: it costs more than plain decoding. A token that is not accepted shows a
fault of the engine, or that a batched forward rounds unlike single ones (theory 2.11).
"""

from specprof.engine.drafting import ModelDrafter
from specprof.engine.setup.loading import Loaded
from specprof.settings import Settings


class SelfDraft(ModelDrafter):
    """Draft = target, the same weights in memory once."""

    @classmethod
    def load(cls, settings: Settings, target: Loaded) -> Loaded:
        """Return the target itself."""
        del settings
        return target
