"""Past the draft's maximum length the engine proposes token 0 as every draft.

Seen in
    vllm-project/vllm#58080: the draft did not inherit an override of the maximum length.

Breaks
    From the length that the draft was trained for on, all drafts are id 0. They are verified as
    always.

Shows
    Acceptance drops to 0 at one context length, which is a number in the draft's configuration.
    From there on every draft is the same id. No state is wrong. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.extend import Proposal
from specprof.faults._during import break_each_sequence
from specprof.settings import Value


class DraftLengthGateDummyTokens(Fault):
    """Shown with half of the run past the draft's length."""

    settings: ClassVar[dict[str, Value]] = {"context": 1100, "stops": 10}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Limit each drafter to the length that its draft was trained for.

        Raises UsageError where that length is not known.
        """
        longest = run.draft and run.draft.facts.trained_context
        if not longest:
            title = "the fault pos/draft-length-gate-dummy-tokens needs a draft of known length"
            raise UsageError(title, "use --drafter draft-model")
        return break_each_sequence(run, partial(_gate, longest))


def _gate(longest: int, lane: Lane) -> AbstractContextManager[None]:
    return swapped(lane.loop.drafter, propose=Gate(lane, longest).propose)


class Gate:
    """Drafts as always up to `longest` tokens, and zeros beyond."""

    def __init__(self, lane: Lane, longest: int) -> None:
        self.law = lane.loop.parts.law
        self.drafter = lane.loop.drafter
        self.longest = longest
        self._propose = self.drafter.propose

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Return drafts, or as many zeros past the limit."""
        if len(committed) + depth <= self.longest:
            return self._propose(committed, depth)
        with swapped(self.law, draw=_draw_zeros):
            dummies = self._propose(committed, depth)
        return Proposal(tokens=dummies.tokens, logits=None, draft_probs=None)


def _draw_zeros(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return [rows] int64 zeros for [rows, vocab] probabilities."""
    del generator
    return torch.zeros(probs.shape[0], dtype=torch.int64, device=probs.device)
