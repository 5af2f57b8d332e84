"""A head is given hidden states in a rotated basis, and was trained in the plain one.

Seen in
    vllm-project/vllm-ascend#7038 and #5974: targets that were rotated to be quantised.

Breaks
    The target's hidden states are turned by an orthogonal matrix on their way to the head.

Shows
    Acceptance is next to nothing from index 0 on, at every depth. No state of the target's is
    wrong, lengths are right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from specprof.engine.wiring import Lane, Wired
from specprof.extend import Fault
from specprof.faults._during import in_each
from specprof.faults._features import features_of, misread
from specprof.settings import Value


class RotatedTargetBasis(Fault):
    """The same states, told otherwise."""

    stage: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, wired: Wired) -> AbstractContextManager[None]:
        """Turn what each head reads."""
        return in_each(wired, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    basis: torch.Tensor | None = None

    def turned(states: torch.Tensor) -> torch.Tensor:
        nonlocal basis
        if basis is None:
            size = states.shape[-1]
            drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(size))
            basis = torch.linalg.qr(drawn).Q.to(states)
        return states @ basis

    return misread(features_of(lane), turned)
