"""After an all-accepted round the bonus is the draft's next token, not the target's.

Seen in
    Theoretical: no thread was found that has it, though engines hold both distributions side by
    side.

Breaks
    The draft is fed its own last token, and the bonus is drawn from the draft's answer.

Shows
    Bonuses are less likely under the target than its own draws would be. Drafts, acceptance and
    corrections are right.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.extend import Law, Proposal
from specprof.faults._accept import Decide, Step, replace_decide


class BonusFromDraft(Fault):
    """Takes the bonus from the draft."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Draw every sequence's bonuses from its draft."""
        return replace_decide(run, _make_step)


def _make_step(lane: Lane) -> Decide:
    draft = lane.loop.drafter.draft
    if draft is None:
        title = f"drafter {lane.loop.parts.settings.drafter!r} has no model to take a bonus from"
        raise UsageError(title, "show this fault with the drafter draft-model")
    return BrokenStep(draft).decide


class BrokenStep(Step):
    """Draws the bonus from the draft's law after its last token."""

    def __init__(self, draft: Decoder) -> None:
        self.draft = draft

    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`, with the draft's bonus if all drafts are accepted."""
        fair = super().decide(target_logits, proposal, law, generator)
        count = proposal.tokens.shape[0]
        if not count or int(fair[0]) < count - 1:
            return fair
        row = self.draft.feed(proposal.tokens[-1:])  # [1, vocab]
        self.draft.rollback(self.draft.length - 1)  # the cache's length has to stay right
        return torch.cat([fair[:1], law.draw(law.probs(row), generator)])
