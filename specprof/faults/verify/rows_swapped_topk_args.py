"""Every draft is held against the answer to the first row: its second choice, its third, and so on.

Seen in
    antirez/ds4#358: the number of rows and the number of choices were exchanged.

Breaks
    A greedy accept step takes the first answer's next best token for each further row.

Shows
    Draft index 0 is judged fairly; deeper ones, and the tokens that follow them, are none of the
    target's first choices. At K = 0 nothing is wrong.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law, Proposal
from specprof.faults._accept import deciding
from specprof.settings import Value


class RowsSwappedTopkArgs(Fault):
    """One row's choices for many rows' first."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 0.0}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Judge all rows by the first."""
        return deciding(run, lambda _: _decide)


def _decide(
    target_logits: torch.Tensor, proposal: Proposal, law: Law, generator: torch.Generator
) -> torch.Tensor:
    """Return [2], as `Acceptance.decide`."""
    del law, generator
    best = target_logits[0].topk(target_logits.shape[0]).indices  # [K+1]
    accepted = (best[:-1] == proposal.tokens).cumprod(0).sum(0, keepdim=True)  # [1]
    return torch.cat([accepted - 1, best.gather(0, accepted)])
