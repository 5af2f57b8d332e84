"""A cache with a window is not rolled back once the window is full.

Seen in
    ml-explore/mlx-swift-lm#424; ml-explore/mlx-lm#1427 and #1486; T0mSIlver/localvoxtral#91;
    huggingface/transformers#45745 (refused with sliding-window layers).

Breaks
    A ring buffer overwrites the rows that a rollback needs. So its trim does nothing once sinks and
    window are full. Until then it works.

Shows
    Nothing while the text is shorter than sinks and window. From there on the target's cache is too
    long by the tokens rejected since, and its distribution is wrong after the first rejection. At
    temperature 0 too.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, cast

from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, replace_target_count
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class RingCacheWrapNoRollback(Fault):
    """Stops trimming once the ring has wrapped."""

    settings: ClassVar[dict[str, Value]] = {
        "cache": "sink-window",
        "draft_cache": "dense",
        "window": 252,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Skip each target's rollback once its window is full."""
        return replace_target_count(run, Ring)


class Ring(TargetCount):
    """Trims only while every token that was fed still has its row."""

    def trim(self, by: int) -> None:
        """Trim unless the ring has wrapped."""
        window = cast("WindowStore", self.target.store).window
        if self.target.length < window.sinks + window.recent:
            super().trim(by)
