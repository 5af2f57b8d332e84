"""The draft's steps get a position one too low: that of the token before.

Seen in
    ikawrakow/ik_llama.cpp#2296.

Breaks
    Every position id is one too low while the draft drafts. Prefill's positions are right.

Shows
    The draft's distribution differs from the recomputed one at every draft index, from a burst's
    first round on, though every length is right. The target is right. At temperature 0 too.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._miscount import draft_of
from specprof.faults._place import change_placements


class DraftPositionOffByOne(Fault):
    """Subtracts one from each position."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Shift each draft's positions while it drafts."""
        return break_each_sequence(
            run, lambda lane: break_during(lane.loop.drafter, "propose", _shift_positions(lane))
        )


def _shift_positions(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    return partial(change_placements, draft_of(lane).store, _subtract_one)


def _subtract_one(place: Placement, before: int) -> Placement:
    del before
    return replace(place, positions=place.positions - 1)
