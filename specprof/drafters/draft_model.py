"""A smaller model of the same vocabulary drafts."""

from specprof import pocket
from specprof.engine.drafting import ModelDrafter
from specprof.engine.setup import loading
from specprof.engine.setup.loading import Loaded
from specprof.errors import UsageError
from specprof.settings import Settings


class DraftModel(ModelDrafter):
    """Speculation as first published (arXiv 2211.17192; arXiv 2302.01318)."""

    @classmethod
    def load(cls, settings: Settings, target: Loaded) -> Loaded:
        """Load the draft model. Raises UsageError if none is named, or if the name is a head's."""
        if settings.draft is None:
            title = "the drafter draft-model needs a draft model"
            raise UsageError(title, "name one with --draft, or use --drafter none")
        if settings.draft in pocket.heads():
            title = f"{settings.draft} is a head on the target's hidden states, not a whole model"
            hint = f"use it with --drafter eagle, or use --draft {pocket.members()[0]}"
            raise UsageError(title, hint)
        return loading.load(settings.draft, settings, target.device)
