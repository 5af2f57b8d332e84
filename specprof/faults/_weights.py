"""Find the weights of a run's models, so that a fault can replace them."""

from typing import Any

from specprof.engine.run import Run
from specprof.engine.setup.loading import Loaded
from specprof.errors import UsageError


def own_draft_of(run: Run) -> Loaded:
    """Return the draft; raise UsageError if it has no weights, or shares the target's."""
    draft = run.draft
    if draft is None or draft.model is run.target.model:
        title = f"drafter {run.settings.drafter!r} has no weights of its own"
        raise UsageError(title, "show this fault with the drafter draft-model")
    return draft


def embedding_module(loaded: Loaded) -> Any:  # noqa: ANN401 - any torch module
    """Return the module that turns ids into vectors."""
    return loaded.model.get_input_embeddings()  # type: ignore[operator]


def output_module(loaded: Loaded) -> Any:  # noqa: ANN401 - any torch module
    """Return the module that turns vectors into logits."""
    return loaded.model.get_output_embeddings()  # type: ignore[operator]
