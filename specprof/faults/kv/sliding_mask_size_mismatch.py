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

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from specprof.engine.stores.dense import Placement
from specprof.faults._window import WindowFault

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class SlidingMaskSizeMismatch(WindowFault):
    """More keys than columns."""

    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Begin the rows earlier and leave the mask at its left end.

        What it doesn't reach is dark.
        """
        del before
        if not store.circles or place.visible is None or place.columns is None:
            return place
        more = min(place.positions.shape[1] - 1, store.seen_from - store.window.sinks)
        store.seen_from -= more
        visible = torch.nn.functional.pad(place.visible, (0, more), value=False)
        columns = torch.nn.functional.pad(place.columns, (0, more))
        return replace(place, visible=visible, columns=columns)
