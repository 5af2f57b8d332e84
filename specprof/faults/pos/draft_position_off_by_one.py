"""The draft's steps stand one place too early: at the last committed token's, not the next.

Seen in
    ikawrakow/ik_llama.cpp#2296.

Breaks
    Every position id the draft is given while it drafts is one too low; prefill's are right.

Shows
    The draft's law strays from the recomputed one at every draft index, from a burst's first round
    on, though every length is right. The target is clean. At temperature 0 too.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import during, in_each
from specprof.faults._miscount import draft_of
from specprof.faults._place import misplaced


class DraftPositionOffByOne(Fault):
    """One less."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Shift each draft's positions while it drafts."""
        return in_each(run, lambda lane: during(lane.loop.drafter, "propose", _early(lane)))


def _early(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    return partial(misplaced, draft_of(lane).store, _one_less)


def _one_less(place: Placement, before: int) -> Placement:
    del before
    return replace(place, positions=place.positions - 1)
