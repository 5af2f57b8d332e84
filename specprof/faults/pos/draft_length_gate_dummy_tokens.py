"""Past the draft's longest text the engine hands in token 0 as every draft.

Seen in
    vllm-project/vllm#58080: the draft did not inherit an override of the longest text.

Breaks
    From the length the draft was trained for on, all drafts are id 0, verified as ever.

Shows
    Acceptance drops from what it was to 0 at one context, a number of the draft's configuration;
    from there on all drafted ids are alike. No state is wrong. At temperature 0 too.
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
from specprof.faults._during import in_each
from specprof.settings import Value


class DraftLengthGateDummyTokens(Fault):
    """Half of the run lies beyond the gate."""

    settings: ClassVar[dict[str, Value]] = {"context": 1100, "stops": 10}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Gate each drafter by the length its draft was trained for."""
        longest = run.draft and run.draft.facts.trained_context
        if not longest:
            title = "the fault pos/draft-length-gate-dummy-tokens needs a draft of known length"
            raise UsageError(title, "use --drafter draft-model")
        return in_each(run, partial(_gated, longest))


def _gated(longest: int, lane: Lane) -> AbstractContextManager[None]:
    return swapped(lane.loop.drafter, propose=Gate(lane, longest).propose)


class Gate:
    """Drafts as ever up to `longest` tokens, and dummies beyond."""

    def __init__(self, lane: Lane, longest: int) -> None:
        self.law = lane.loop.parts.law
        self.drafter = lane.loop.drafter
        self.longest = longest
        self._whole = self.drafter.propose

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Return drafts, or as many zeros."""
        if len(committed) + depth <= self.longest:
            return self._whole(committed, depth)
        with swapped(self.law, draw=_zeros):
            dummies = self._whole(committed, depth)
        return Proposal(tokens=dummies.tokens, logits=None, draft_probs=None)


def _zeros(probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return [rows] int64 zeros for [rows, vocab] probabilities."""
    del generator
    return torch.zeros(probs.shape[0], dtype=torch.int64, device=probs.device)
