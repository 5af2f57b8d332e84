"""Verification is masked as if nothing were cached: row i sees the first i + 1 keys.

Seen in
    pytorch/pytorch#108108 and #144858 (`is_causal` aligns at the top left);
    hyprstream/hyprstream#1521; pytorch/executorch#21749; onnx/onnx#8068.

Breaks
    In a forward of several tokens over a cache each token of the target sees the text's first
    tokens, in the order of the rows, and not what is before it. Single tokens see all.

Shows
    The target's law strays at every place of every round, and acceptance falls to next to nothing:
    plain steps of one token and prefill are right, so a burst of no drafts would be clean. Lengths
    are right, the draft is clean. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import during, in_each
from specprof.faults._miscount import target_of
from specprof.faults._place import drawn, misplaced


class SdpaCausalTopLeft(Fault):
    """The mask's corner is the wrong one."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Align each target's mask at the top left where it verifies."""
        return in_each(run, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    target = target_of(lane)
    return during(target, "feed", partial(misplaced, target.store, _top_left))


def _top_left(place: Placement, before: int) -> Placement:
    count = place.positions.shape[1]
    if count == 1:
        return place
    right = drawn(place, before)
    assert right.visible is not None  # noqa: S101 - it has just been drawn
    columns = torch.arange(right.visible.shape[-1], device=place.positions.device)
    rows = torch.arange(count, device=place.positions.device)
    return replace(right, visible=(columns <= rows[:, None])[None])
