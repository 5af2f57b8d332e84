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

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import in_each
from specprof.faults._miscount import target_of
from specprof.faults._place import misplaced
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class StreamingKeysNotReindexed(Fault):
    """Kept keys keep their positions."""

    stage: ClassVar[dict[str, Value]] = {
        "cache": "sink-window",
        "draft_cache": "dense",
        "window": 252,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Turn no target's sinks."""
        return in_each(run, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    store = cast("WindowStore", target_of(lane).store)
    return misplaced(store, partial(_unturned, store))


def _unturned(store: "WindowStore", place: Placement, before: int) -> Placement:
    """Take the turns out of what the store's layers are about to turn the sinks by."""
    del before
    store.circles = {
        rotation: (torch.ones_like(cos), torch.zeros_like(sin))
        for rotation, (cos, sin) in store.circles.items()
    }
    return place
