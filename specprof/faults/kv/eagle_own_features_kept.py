"""A head keeps entries computed from its own guesses, though the target's states are known by then.

Seen in
    vllm-project/vllm#14649, #14464 and #14990; SafeAILab/EAGLE#61.

Breaks
    After a round the accepted tokens keep the entries that they got in drafting, from the head's
    guesses at the hidden states. They are not fed again with the target's states.

Shows
    The head's cache does not end where the round began. Acceptance is a little lower at all draft
    indices, and lower still along a burst. The target is right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, cast

from specprof.engine.drafting import empty_proposal
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.transfer import on_device
from specprof.extend import Proposal
from specprof.faults._during import break_each_sequence
from specprof.faults._miscount import draft_of
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.drafters.eagle import Eagle


class EagleOwnFeaturesKept(Fault):
    """Never feeds an accepted token again."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Leave each head's drafts in its cache until they are rejected."""
        return break_each_sequence(run, _break_sequence)


def _break_sequence(lane: Lane) -> AbstractContextManager[None]:
    drafter, draft = cast("Eagle", lane.loop.drafter), draft_of(lane)

    def propose(committed: list[int], depth: int) -> Proposal:
        if depth == 0 or len(committed) == 1:
            return empty_proposal(draft.device)
        fed = on_device(committed[draft.length :], draft.device)
        return drafter.shape.grow(draft, fed, depth)

    return swapped(drafter, propose=propose)
