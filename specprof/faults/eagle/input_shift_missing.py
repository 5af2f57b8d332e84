"""A head's prompt pairs each token with its own hidden state, not with the one before it.

Seen in
    vllm-project/vllm#14647 and #14464.

Breaks
    In prefill token i comes with the target's state of place i where the head was trained on that
    of place i - 1: the ids are not shifted by one.

Shows
    Acceptance is lower from index 0 on, and the head's law strays from the recomputed one, most
    where the prompt is most of what it sees. Lengths are right, the target is clean. At temperature
    0 too.
"""

from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.features import Features
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.faults._during import during, in_each
from specprof.faults._features import features_of
from specprof.settings import Value


class InputShiftMissing(Fault):
    """The head meets what a token became before it has read what came before."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Pair each head's prompt wrongly."""
        return in_each(run, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    return during(lane.loop.drafter, "prefill", partial(_late, features_of(lane)))


def _late(features: Features) -> AbstractContextManager[None]:
    rows = features.rows

    def later(start: int, end: int) -> torch.Tensor:
        return rows(start + 1, end + 1)

    return swapped(features, rows=later)
