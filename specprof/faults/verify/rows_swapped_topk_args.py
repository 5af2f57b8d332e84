"""Every draft is compared with a choice of the first row: its first, its second, and so on.

Seen in
    antirez/ds4#358: the number of rows and the number of choices were exchanged.

Breaks
    A greedy accept step compares row i with the i-th choice of the first row, not with the row's
    own first choice.

Shows
    Draft index 0 is judged rightly. Deeper accepted drafts, and the tokens that follow them, are
    not the target's first choices. At K = 0 nothing is wrong.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.extend import Law, Proposal
from specprof.faults._accept import replace_decide
from specprof.settings import Value


class RowsSwappedTopkArgs(Fault):
    """Takes many choices of one row for the first choices of many rows."""

    settings: ClassVar[dict[str, Value]] = {"temperature": 0.0}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Judge all rows by the first row's choices."""
        return replace_decide(run, lambda _: _decide_by_first_row)


def _decide_by_first_row(
    target_logits: torch.Tensor, proposal: Proposal, law: Law, generator: torch.Generator
) -> torch.Tensor:
    """Return [2], as `Acceptance.decide`."""
    del law, generator
    best = target_logits[0].topk(target_logits.shape[0]).indices  # [K+1]
    accepted = (best[:-1] == proposal.tokens).cumprod(0).sum(0, keepdim=True)  # [1]
    return torch.cat([accepted - 1, best.gather(0, accepted)])
