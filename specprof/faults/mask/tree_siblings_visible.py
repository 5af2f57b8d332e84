"""A tree is verified under a causal mask: nodes see their elder siblings and cousins.

Seen in
    PaddlePaddle/FastDeploy#3514: the kernel skips the mask's lower triangle.

Breaks
    Every node of a tree the target verifies sees all nodes before it, on its path or not.

Shows
    The target's law strays at nodes after the first of several siblings, and for good once such a
    node is kept. A tree of width one is clean. Lengths are right, the draft is clean. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import in_each
from specprof.faults._miscount import target_of
from specprof.faults._place import misplaced
from specprof.settings import Value


class TreeSiblingsVisible(Fault):
    """A triangle where a tree was due."""

    settings: ClassVar[dict[str, Value]] = {"shape": "static-tree"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Fill the triangle of each target's trees."""
        return in_each(run, lambda lane: misplaced(target_of(lane).store, _triangle))


def _triangle(place: Placement, before: int) -> Placement:
    """Show each of a tree's new nodes all rows up to its own."""
    if place.visible is None:
        return place
    rows = torch.arange(before, before + place.positions.shape[1], device=place.positions.device)
    columns = torch.arange(place.visible.shape[-1], device=place.positions.device)
    return replace(place, visible=(columns <= rows[:, None])[None])
