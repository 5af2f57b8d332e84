"""The accept ratio stands on its head.

Seen in
    1bit-MONSTER/1bit-MONSTER#637: the ratio was of other probabilities than target and draft.

Breaks
    A token stands with probability min(1, draft/target) instead of min(1, target/draft).

Shows
    Tokens that owe less than 1 are always accepted, those that owe 1 often fall: what stands goes
    against what is owed, at a mean that may look plausible.
"""

from contextlib import AbstractContextManager

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._accept import Step, deciding


class WrongRatio(Fault):
    """Draft over target."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Invert the ratio."""
        return deciding(run, lambda _: Broken().decide)


class Broken(Step):
    """The two probabilities are exchanged."""

    def stands(self, coins: torch.Tensor, owed: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return [K, 1]: whether each coin is below the inverse ratio."""
        return coins * owed < own
