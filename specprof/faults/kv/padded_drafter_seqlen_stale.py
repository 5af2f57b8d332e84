"""After its first step of a round the draft attends as if the cache had not grown.

Seen in
    vllm-project/vllm#26498, for #26191: lengths of padded slots are not updated after the first
    draft step.

Breaks
    The length that the draft's attention reads is set once a round. Later steps attend neither to
    their own token nor to the drafts before it.

Shows
    A head's distribution is right at draft index 0 and wrong at every later index, in every round.
    A draft model keeps the rows that such steps wrote, so it is wrong at index 0 too from the
    second round on. Lengths and the target are right. At temperature 0 too. K = 1 shows nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._miscount import draft_of
from specprof.faults._place import change_placements, draw_mask
from specprof.settings import Value


class PaddedDrafterSeqlenStale(Fault):
    """Reads the cache's length once a round."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Freeze what each draft attends to at the first step of a round."""
        return break_each_sequence(
            run, lambda lane: break_during(lane.loop.drafter, "propose", _freeze_length(lane))
        )


def _freeze_length(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    return lambda: change_placements(draft_of(lane).store, Frozen())


class Frozen:
    """Hides from the tokens of one round all rows that its first step did not see."""

    def __init__(self) -> None:
        self.rows: int | None = None

    def __call__(self, place: Placement, before: int) -> Placement:
        """Return a placement that hides the rows stored after the round's first step."""
        right = draw_mask(place, before)
        assert right.visible is not None  # noqa: S101 - draw_mask sets it
        width = right.visible.shape[-1]
        if self.rows is None:
            self.rows = width
            return place
        old = torch.arange(width, device=right.visible.device) < self.rows
        return replace(right, visible=right.visible & old)
