"""A tree's nodes stand at their index in it, not at their depth.

Seen in
    lablup/mlxcel#1214: a tree of width one is byte for byte a chain, a branching one breaks greedy
    identity.

Breaks
    The target verifies a flattened tree at one position after another; siblings push all that
    comes after them too far.

Shows
    The target's law strays at nodes whose index is not their depth, all but a tree's eldest line,
    and for good once such a node is kept. A tree of width one is clean. Lengths are right, the
    draft is clean. At temperature 0 too.
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


class TreeNodeIndexAsDepth(Fault):
    """Contiguous positions."""

    settings: ClassVar[dict[str, Value]] = {"shape": "static-tree"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Place the nodes each target verifies one after another."""
        return in_each(run, lambda lane: misplaced(target_of(lane).store, _numbered))


def _numbered(place: Placement, before: int) -> Placement:
    count = place.positions.shape[1]
    through = torch.arange(before, before + count, device=place.positions.device)
    return replace(place, positions=through[None])
