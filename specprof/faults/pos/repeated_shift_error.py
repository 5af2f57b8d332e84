"""At every eviction kept keys are rotated further from their last position, in low precision.

Seen in
    ggml-org/llama.cpp#4097 (suspected; reports disagree).

Breaks
    The sinks of a streaming cache are rotated by one position for each eviction, rounded to
    bfloat16 each time. They should be rotated once, from the original.

Shows
    Nothing until the first eviction. From there on the target's distribution is off by a little,
    and by more with every further eviction. Lengths and the draft are right.
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
    """Lets rounding errors add up."""

    settings: ClassVar[dict[str, Value]] = {**WindowFault.settings, "window": 124}

    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Rotate by the product of many small rotations instead of by a single one."""
        end, window = before + place.positions.shape[1], store.window
        device = place.positions.device
        turns = torch.arange(window.evicted(before), window.evicted(end - 1) + 1, window.block)
        rotations = {id(each): each for each in store.rotations}
        store.circles = {
            known: _multiply_turns(rotations[known], turns.to(device)) for known in store.circles
        }
        return place


def _multiply_turns(rotation: Rotation, turns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines [copies, 1, head size] of [copies] numbers of one-position turns."""
    once = rotation.circle(turns.new_ones(1, 1))  # [1, 1, head size]
    cos, sin = (each.bfloat16().float() for each in once)
    size = (cos.square() + sin.square()).sqrt() ** turns[:, None, None]
    angle = torch.atan2(sin, cos) * turns[:, None, None]
    return size * angle.cos(), size * angle.sin()
