"""Verification is masked as if nothing were cached: row i attends to the first i + 1 keys.

Seen in
    pytorch/pytorch#108108 and #144858 (`is_causal` aligns at the top left);
    hyprstream/hyprstream#1521; pytorch/executorch#21749; onnx/onnx#8068.

Breaks
    In a forward of several tokens over a cache, row i of the target attends to the text's first
    i + 1 tokens instead of all tokens before it. A single token attends to all.

Shows
    The target's distribution is wrong at every index of every round, and acceptance falls to next
    to nothing. Plain steps of one token and prefill are right, so a burst without drafts would be
    right. Lengths and the draft are right. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._miscount import target_of
from specprof.faults._place import change_placements, draw_mask


class SdpaCausalTopLeft(Fault):
    """Aligns the causal mask at the wrong corner."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Align each target's mask at the top left when it verifies."""
        return break_each_sequence(run, _break_sequence)


def _break_sequence(lane: Lane) -> AbstractContextManager[None]:
    target = target_of(lane)
    return break_during(target, "feed", partial(change_placements, target.store, _align_top_left))


def _align_top_left(place: Placement, before: int) -> Placement:
    count = place.positions.shape[1]
    if count == 1:
        return place
    right = draw_mask(place, before)
    assert right.visible is not None  # noqa: S101 - draw_mask sets it
    columns = torch.arange(right.visible.shape[-1], device=place.positions.device)
    rows = torch.arange(count, device=place.positions.device)
    return replace(right, visible=(columns <= rows[:, None])[None])
