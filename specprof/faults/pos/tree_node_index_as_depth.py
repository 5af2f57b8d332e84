"""A tree's nodes get positions by their index in the tree, not by their depth.

Seen in
    lablup/mlxcel#1214: a tree of width one is byte for byte a chain, but with a branching tree the
    greedy text differs.

Breaks
    The target verifies the nodes of a flattened tree at consecutive positions, so every node after
    a sibling is placed too far.

Shows
    The target's distribution is wrong at nodes whose index is not their depth. It stays wrong for
    the rest of the burst once such a node is accepted. A tree of width one is right. Lengths and
    the draft are right. At temperature 0 too.
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


class TreeNodeIndexAsDepth(Fault):
    """Gives a tree's nodes consecutive positions."""

    settings: ClassVar[dict[str, Value]] = {"shape": "static-tree"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Place the nodes that each target verifies one after another."""
        return break_each_sequence(
            run, lambda lane: change_placements(target_of(lane).store, _number_nodes)
        )


def _number_nodes(place: Placement, before: int) -> Placement:
    count = place.positions.shape[1]
    positions = torch.arange(before, before + count, device=place.positions.device)
    return replace(place, positions=positions[None])
