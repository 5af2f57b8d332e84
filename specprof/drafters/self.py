"""The target drafts for itself, over a cache of its own: every token should be accepted.

A control, not a method: it costs more than plain decoding, and what it fails to accept is a fault
of the engine or the rounding of batched against single forwards (theory 2.11).
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
