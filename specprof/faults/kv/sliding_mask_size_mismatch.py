"""A window's mask is as wide as the window, the keys it is laid over are more.

Seen in
    huggingface/transformers#48280, brought in by #47447: while rollback is recorded a sliding layer
    returns all its keys, and the mask's size is still the window's.

Breaks
    In a forward of several tokens the target's attention gets that many rows more than its mask
    was made for, at the old end: each column of the mask falls on a row too far back, and the
    newest rows are left dark.

Shows
    Nothing until the window is full. From there on the target's law strays at every draft index of
    every round; plain steps of one token stay right. Lengths are right, the draft is clean. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import in_each
from specprof.faults._miscount import target_of
from specprof.faults._place import misplaced
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class SlidingMaskSizeMismatch(Fault):
    """More keys than columns."""

    stage: ClassVar[dict[str, Value]] = {
        "cache": "sink-window",
        "draft_cache": "dense",
        "window": 252,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Give each target's attention more rows than its mask has columns for."""
        return in_each(run, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    store = cast("WindowStore", target_of(lane).store)
    return misplaced(store, partial(_narrow, store))


def _narrow(store: "WindowStore", place: Placement, before: int) -> Placement:
    """Begin the rows earlier and leave the mask at its left end; what it doesn't reach is dark."""
    del before
    if not store.circles or place.visible is None or place.columns is None:
        return place
    more = min(place.positions.shape[1] - 1, store.seen_from - store.window.sinks)
    store.seen_from -= more
    visible = torch.nn.functional.pad(place.visible, (0, more), value=False)
    columns = torch.nn.functional.pad(place.columns, (0, more))
    return replace(place, visible=visible, columns=columns)
