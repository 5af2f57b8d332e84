"""A head keeps what it computed from its own guesses, where the target's own states are known.

Seen in
    vllm-project/vllm#14649, #14464 and #14990; SafeAILab/EAGLE#61.

Breaks
    After a round the accepted tokens stay in the head's cache as they were drafted, beside the
    head's guesses at the hidden states before them, and are not fed anew beside the target's.

Shows
    The head's cache does not end where the round began. Acceptance is lower at all draft indices,
    by little and by more along a burst; the target is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, cast

from specprof.engine.drafting import empty_proposal
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.transfer import on_device
from specprof.extend import Proposal
from specprof.faults._during import in_each
from specprof.faults._miscount import draft_of
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.drafters.eagle import Eagle


class EagleOwnFeaturesKept(Fault):
    """Nothing is fed a second time."""

    stage: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Leave each head's drafts in its cache until they are rejected."""
        return in_each(run, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    drafter, draft = cast("Eagle", lane.loop.drafter), draft_of(lane)

    def propose(committed: list[int], depth: int) -> Proposal:
        if depth == 0 or len(committed) == 1:
            return empty_proposal(draft.device)
        fed = on_device(committed[draft.length :], draft.device)
        return drafter.shape.grow(draft, fed, depth)

    return swapped(drafter, propose=propose)
