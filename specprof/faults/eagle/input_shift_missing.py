"""In a head's prompt each token comes with its own hidden state, not with the state before it.

Seen in
    vllm-project/vllm#14647 and #14464.

Breaks
    In prefill token i comes with the target's state at position i. The head was trained on the
    state at position i - 1: the ids are not shifted by one.

Shows
    Acceptance is lower from index 0 on. The head's distribution differs from the recomputed one,
    most while the prompt is most of the head's context. Lengths and the target are right. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.features import Features
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._features import features_of
from specprof.settings import Value


class InputShiftMissing(Fault):
    """Shows the head a token's own state, which already depends on the token."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Pair the tokens of each head's prompt with the wrong states."""
        return break_each_sequence(run, _break_sequence)


def _break_sequence(lane: Lane) -> AbstractContextManager[None]:
    return break_during(lane.loop.drafter, "prefill", partial(_shift_rows, features_of(lane)))


def _shift_rows(features: Features) -> AbstractContextManager[None]:
    rows = features.rows

    def next_rows(start: int, end: int) -> torch.Tensor:
        return rows(start + 1, end + 1)

    return swapped(features, rows=next_rows)
