"""A cache with a window can't be rolled back once the window is full, and isn't.

Seen in
    ml-explore/mlx-swift-lm#424; ml-explore/mlx-lm#1427 and #1486; T0mSIlver/localvoxtral#91;
    huggingface/transformers#45745 (refused with sliding-window layers).

Breaks
    A ring has overwritten the rows that a rollback needs, so its trim is refused from the moment
    sinks and window are full. Until then it works.

Shows
    Nothing as long as the text is shorter than sinks and window. From there on the target's cache
    is too long by what was rejected since, and its law strays after the first rejection. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, cast

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, target_counted
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class RingCacheWrapNoRollback(Fault):
    """Trims until the ring has come round."""

    settings: ClassVar[dict[str, Value]] = {
        "cache": "sink-window",
        "draft_cache": "dense",
        "window": 252,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Refuse each target's rollback once its window is full."""
        return target_counted(run, Ring)


class Ring(TargetCount):
    """Can be trimmed only while every token ever fed still has its row."""

    def trim(self, by: int) -> None:
        """Trim, if the ring has not come round."""
        window = cast("WindowStore", self.target.store).window
        if self.target.length < window.sinks + window.recent:
            super().trim(by)
