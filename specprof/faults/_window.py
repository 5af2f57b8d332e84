"""The base of faults in how the target's window places tokens."""

from abc import abstractmethod
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import break_each_sequence
from specprof.faults._miscount import target_of
from specprof.faults._place import change_placements
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class WindowFault(Fault):
    """Changes every placement in each target's window. Lengths stay right, the draft sound."""

    settings: ClassVar[dict[str, Value]] = {
        "cache": "sink-window",
        "draft_cache": "dense",
        "window": 252,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Misplace the tokens that each target is fed."""
        return break_each_sequence(run, self._break_sequence)

    def _break_sequence(self, lane: Lane) -> AbstractContextManager[None]:
        store = cast("WindowStore", target_of(lane).store)
        return change_placements(store, partial(self.misplace, store))

    @abstractmethod
    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Return a wrong placement for a right one that follows `before` stored tokens."""
