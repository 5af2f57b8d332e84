"""Give a model's new tokens wrong positions, or let them attend to wrong tokens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from specprof.engine.patch import swapped
from specprof.engine.stores.dense import Placement, Store

Change = Callable[[Placement, int], Placement]
"""From a right placement, and the number of tokens stored before it, to a wrong placement."""


@contextmanager
def change_placements(store: Store, change: Change) -> Iterator[None]:
    """Pass every placement of `store` through `change`; lengths and rows stay as they are."""
    original = store.place

    def place(count: int, device: torch.device, parents: torch.Tensor | None = None) -> Placement:
        before = store.length
        return change(original(count, device, parents), before)

    with swapped(store, place=place):
        yield


def draw_mask(place: Placement, before: int) -> Placement:
    """Return a placement after `before` tokens with its mask written out.

    A chain has no mask of its own. In the mask drawn for it each token sees all up to itself.
    """
    if place.visible is not None:
        return place
    columns = torch.arange(before + place.positions.shape[1], device=place.positions.device)
    visible = columns <= place.positions[0, :, None]  # [n, columns]
    return replace(place, visible=visible[None], columns=columns[None])
