"""The weights a run drafts with, to be hidden behind others."""

from typing import Any

from specprof.engine.run import Run
from specprof.engine.setup.loading import Loaded
from specprof.errors import UsageError


def draft_of(run: Run) -> Loaded:
    """Return the draft; refuse one whose weights are the target's as well, or none."""
    draft = run.draft
    if draft is None or draft.model is run.target.model:
        title = f"drafter {run.settings.drafter!r} has no weights of its own"
        raise UsageError(title, "show this fault with the drafter draft-model")
    return draft


def embeddings(loaded: Loaded) -> Any:  # noqa: ANN401 - a module of whatever kind
    """Return the module that turns ids into vectors."""
    return loaded.model.get_input_embeddings()  # type: ignore[operator]


def head(loaded: Loaded) -> Any:  # noqa: ANN401 - likewise
    """Return the module that turns vectors into logits."""
    return loaded.model.get_output_embeddings()  # type: ignore[operator]
