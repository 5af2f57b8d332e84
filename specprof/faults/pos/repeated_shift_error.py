"""Kept keys are turned on from where they were last, in low precision, at every eviction.

Seen in
    ggml-org/llama.cpp#4097 (suspected; reports disagree).

Breaks
    The sinks of a streaming cache reach their place by as many turns of one position as there were
    evictions, each rounded to bfloat16, instead of by one turn from the original.

Shows
    Nothing until the first eviction; from there on the target's law strays by little, and by more
    with every further one at the same depth of window. Lengths are right, the draft is clean.
"""

from typing import TYPE_CHECKING, ClassVar

import torch

from specprof.engine.stores.dense import Placement
from specprof.engine.stores.rotation import Rotation
from specprof.faults._window import WindowFault
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class RepeatedShiftError(WindowFault):
    """Rounding adds up."""

    settings: ClassVar[dict[str, Value]] = {**WindowFault.settings, "window": 124}

    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Put the turns' products in the place of the one turn by all evictions."""
        end, window = before + place.positions.shape[1], store.window
        device = place.positions.device
        turns = torch.arange(window.evicted(before), window.evicted(end - 1) + 1, window.block)
        rotations = {id(each): each for each in store.rotations}
        store.circles = {
            known: _product(rotations[known], turns.to(device)) for known in store.circles
        }
        return place


def _product(rotation: Rotation, turns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines [copies, 1, head size] of [copies] turns by one position each."""
    once = rotation.circle(turns.new_ones(1, 1))  # [1, 1, head size]
    cos, sin = (each.bfloat16().float() for each in once)
    size = (cos.square() + sin.square()).sqrt() ** turns[:, None, None]
    angle = torch.atan2(sin, cos) * turns[:, None, None]
    return size * angle.cos(), size * angle.sin()
