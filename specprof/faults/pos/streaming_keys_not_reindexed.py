"""A streaming cache evicts, and leaves the kept sinks at the positions they came in with.

Seen in
    huggingface/transformers#33691, #33692 and #35350; mit-han-lab/streaming-llm#73 (keys belong in
    the cache as they are before rotation); huggingface/text-generation-inference#1105.

Breaks
    The sinks' keys are not turned to the places before the window: the positions of what a token
    sees have a gap that grows with every eviction.

Shows
    Nothing until the first eviction. From there on the target's law strays from what sinks and
    window owe, the further the longer the text. Lengths are right, the draft is clean. At
    temperature 0 too.
"""

from typing import TYPE_CHECKING

import torch

from specprof.engine.stores.dense import Placement
from specprof.faults._window import WindowFault

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class StreamingKeysNotReindexed(WindowFault):
    """Kept keys keep their positions."""

    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Take the turns out of what the store's layers are about to turn the sinks by."""
        del before
        store.circles = {
            rotation: (torch.ones_like(cos), torch.zeros_like(sin))
            for rotation, (cos, sin) in store.circles.items()
        }
        return place
