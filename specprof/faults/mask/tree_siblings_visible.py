"""A tree is verified under a causal mask: nodes attend to earlier siblings and cousins.

Seen in
    PaddlePaddle/FastDeploy#3514: the kernel skips the mask's lower triangle.

Breaks
    Every node of a tree that the target verifies attends to all nodes before it, on its path or
    not.

Shows
    The target's distribution is wrong at nodes after the first of several siblings. It stays wrong
    for the rest of the burst once such a node is accepted. A tree of width one is right. Lengths
    and the draft are right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import break_each_sequence
from specprof.faults._miscount import target_of
from specprof.faults._place import change_placements
from specprof.settings import Value


class TreeSiblingsVisible(Fault):
    """Masks a tree as if it were a chain."""

    settings: ClassVar[dict[str, Value]] = {"shape": "static-tree"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Fill the lower triangle of the mask of each target's trees."""
        return break_each_sequence(
            run, lambda lane: change_placements(target_of(lane).store, _fill_triangle)
        )


def _fill_triangle(place: Placement, before: int) -> Placement:
    """Let each new node of a tree attend to all rows up to its own."""
    if place.visible is None:
        return place
    rows = torch.arange(before, before + place.positions.shape[1], device=place.positions.device)
    columns = torch.arange(place.visible.shape[-1], device=place.positions.device)
    return replace(place, visible=(columns <= rows[:, None])[None])
