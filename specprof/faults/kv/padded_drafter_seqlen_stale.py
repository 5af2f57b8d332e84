"""After its first step of a round the draft attends as if the cache had not grown.

Seen in
    vllm-project/vllm#26498, for #26191: lengths of padded slots are not brought up to date after
    the first draft step.

Breaks
    The length the draft's attention reads is taken once a round; later steps see neither their own
    token nor the drafts before it.

Shows
    A head's law is right at draft index 0 and strays at every later one, in every round; a draft
    model's, that keeps what such steps wrote, at index 0 too once a round is over. Lengths are
    right, the target is clean. At temperature 0 too; a K of 1 shows nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import during, in_each
from specprof.faults._miscount import draft_of
from specprof.faults._place import drawn, misplaced
from specprof.settings import Value


class PaddedDrafterSeqlenStale(Fault):
    """One length a round."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let each draft's first step of a round say what all of it sees."""
        return in_each(run, lambda lane: during(lane.loop.drafter, "propose", _stale(lane)))


def _stale(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    return lambda: misplaced(draft_of(lane).store, Frozen())


class Frozen:
    """Shows the tokens of one round no row but those of its first step."""

    def __init__(self) -> None:
        self.rows: int | None = None

    def __call__(self, place: Placement, before: int) -> Placement:
        """Return a placement blind to what was stored after the first."""
        right = drawn(place, before)
        assert right.visible is not None  # noqa: S101 - it has just been drawn
        width = right.visible.shape[-1]
        if self.rows is None:
            self.rows = width
            return place
        old = torch.arange(width, device=right.visible.device) < self.rows
        return replace(right, visible=right.visible & old)
