"""A window's mask is only as wide as the window, but attention gets more keys than that.

Seen in
    huggingface/transformers#48280, brought in by #47447: while rollback is recorded a sliding layer
    returns all its keys, but the mask has the window's size.

Breaks
    In a forward of n tokens the target's attention gets n - 1 rows more than its mask was made for,
    at the old end. So each column of the mask falls on an older row, and the newest rows are
    hidden.

Shows
    Nothing until the window is full. From there on the target's distribution is wrong at every
    draft index of every round. Plain steps of one token stay right. Lengths and the draft are
    right. At temperature 0 too.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from specprof.engine.stores.dense import Placement
from specprof.faults._window import WindowFault

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class SlidingMaskSizeMismatch(WindowFault):
    """Gives attention more keys than its mask has columns."""

    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Begin the rows earlier, but leave the mask at their left end.

        The rows beyond the mask are hidden.
        """
        del before
        if not store.circles or place.visible is None or place.columns is None:
            return place
        more = min(place.positions.shape[1] - 1, store.seen_from - store.window.sinks)
        store.seen_from -= more
        visible = torch.nn.functional.pad(place.visible, (0, more), value=False)
        columns = torch.nn.functional.pad(place.columns, (0, more))
        return replace(place, visible=visible, columns=columns)
