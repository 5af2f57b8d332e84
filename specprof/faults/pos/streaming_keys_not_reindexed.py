"""A streaming cache evicts tokens, but leaves the kept sinks at their old positions.

Seen in
    huggingface/transformers#33691, #33692 and #35350; mit-han-lab/streaming-llm#73 (keys belong in
    the cache as they are before rotation); huggingface/text-generation-inference#1105.

Breaks
    The sinks' keys are not rotated to the positions before the window. So there is a gap between
    the positions of sinks and window, and it grows with every eviction.

Shows
    Nothing until the first eviction. From there on the target's distribution differs from the right
    one for these sinks and this window, the more the longer the text. Lengths and the draft are
    right. At temperature 0 too.
"""

from typing import TYPE_CHECKING

import torch

from specprof.engine.stores.dense import Placement
from specprof.faults._window import WindowFault

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class StreamingKeysNotReindexed(WindowFault):
    """Leaves kept keys at their positions."""

    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Replace the rotations of the sinks by rotations of 0."""
        del before
        store.circles = {
            rotation: (torch.ones_like(cos), torch.zeros_like(sin))
            for rotation, (cos, sin) in store.circles.items()
        }
        return place
