"""What a head and its target are, in a run that drafts with one."""

from typing import TYPE_CHECKING, cast

from specprof.engine.features import Features
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.faults._miscount import target_of

if TYPE_CHECKING:
    from specprof.engine.heads.head import Head


def features_of(lane: Lane) -> Features:
    """Return the hidden states a sequence's head reads."""
    features = target_of(lane).features
    if features is None:
        title = f"drafter {lane.loop.parts.settings.drafter!r} reads no hidden states to be broken"
        raise UsageError(title, "use --drafter eagle")
    return features


def head_of(run: Run) -> "Head":
    """Return the head a run drafts with."""
    features_of(run.lanes[0])
    assert run.draft is not None  # noqa: S101 - whose features are read is loaded
    return cast("Head", run.draft.model)
