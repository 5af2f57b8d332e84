"""Telling a model that its new tokens stand, or look, elsewhere than they do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from specprof.engine.patch import swapped
from specprof.engine.stores.dense import Placement, Store

Change = Callable[[Placement, int], Placement]
"""From a right placement, and the tokens stored before it, to a wrong one."""


@contextmanager
def misplaced(store: Store, change: Change) -> Iterator[None]:
    """Let `store` place tokens as `change` says; lengths and rows stay as they are."""
    placed = store.place

    def place(count: int, device: torch.device, parents: torch.Tensor | None = None) -> Placement:
        before = store.length
        return change(placed(count, device, parents), before)

    with swapped(store, place=place):
        yield


def drawn(place: Placement, before: int) -> Placement:
    """Return a chain's placement after `before` tokens with its mask drawn: all up to itself."""
    if place.visible is not None:
        return place
    columns = torch.arange(before + place.positions.shape[1], device=place.positions.device)
    visible = columns <= place.positions[0, :, None]  # [n, columns]
    return replace(place, visible=visible[None], columns=columns[None])
