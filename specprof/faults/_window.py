"""Faults in how the target's window places tokens: what they have in common."""

from abc import abstractmethod
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Placement
from specprof.faults._during import in_each
from specprof.faults._miscount import target_of
from specprof.faults._place import misplaced
from specprof.settings import Value

if TYPE_CHECKING:
    from specprof.engine.stores.window import WindowStore


class WindowFault(Fault):
    """Changes each placement of each target's window; lengths stay right, the draft clean."""

    settings: ClassVar[dict[str, Value]] = {
        "cache": "sink-window",
        "draft_cache": "dense",
        "window": 252,
    }

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Misplace what each target is fed."""
        return in_each(run, self._broken)

    def _broken(self, lane: Lane) -> AbstractContextManager[None]:
        store = cast("WindowStore", target_of(lane).store)
        return misplaced(store, partial(self.misplace, store))

    @abstractmethod
    def misplace(self, store: "WindowStore", place: Placement, before: int) -> Placement:
        """Return a wrong placement for a right one, made after `before` tokens were stored."""
