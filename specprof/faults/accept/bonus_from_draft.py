"""After an all-accepted round the bonus is the draft's next token, not the target's.

Seen in
    Theoretical: no thread was found that has it, though the two laws stand side by side everywhere.

Breaks
    The draft is fed its own last token, and the bonus drawn from what it answers.

Shows
    Bonuses are less likely under the target than its own draws would be; corrections, what was
    drafted and what stands are as they should be.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.extend import Law, Proposal
from specprof.faults._accept import Decide, Step, deciding


class BonusFromDraft(Fault):
    """The draft has the last word."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Ask each sequence's draft for its bonuses."""
        return deciding(run, _step)


def _step(lane: Lane) -> Decide:
    draft = lane.loop.drafter.draft
    if draft is None:
        title = f"drafter {lane.loop.parts.settings.drafter!r} has no model to take a bonus from"
        raise UsageError(title, "show this fault with the drafter draft-model")
    return Broken(draft).decide


class Broken(Step):
    """The draft's law of the token after its last."""

    def __init__(self, draft: Decoder) -> None:
        self.draft = draft

    def decide(
        self,
        target_logits: torch.Tensor,
        proposal: Proposal,
        law: Law,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return [2], as `Acceptance.decide`, with the draft's bonus where all stands."""
        fair = super().decide(target_logits, proposal, law, generator)
        count = proposal.tokens.shape[0]
        if not count or int(fair[0]) < count - 1:
            return fair
        row = self.draft.feed(proposal.tokens[-1:])  # [1, vocab]
        self.draft.rollback(self.draft.length - 1)  # its cache is as long as it should be
        return torch.cat([fair[:1], law.draw(law.probs(row), generator)])
