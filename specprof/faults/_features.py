"""Find the head of a run that drafts with a head, and the hidden states that the head reads."""

from typing import TYPE_CHECKING, cast

from specprof.engine.features import Features
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.faults._miscount import target_of

if TYPE_CHECKING:
    from specprof.engine.heads.head import Head


def features_of(lane: Lane) -> Features:
    """Return the hidden states that a sequence's head reads.

    Raises UsageError where the drafter reads no hidden states.
    """
    features = target_of(lane).features
    if features is None:
        title = f"drafter {lane.loop.parts.settings.drafter!r} reads no hidden states to break"
        raise UsageError(title, "use --drafter eagle")
    return features


def head_of(run: Run) -> "Head":
    """Return the head that a run drafts with.

    Raises UsageError where the drafter is not a head.
    """
    features_of(run.lanes[0])
    assert run.draft is not None  # noqa: S101 - a head that reads features has been loaded
    return cast("Head", run.draft.model)
