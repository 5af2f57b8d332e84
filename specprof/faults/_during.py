"""Where and when a fault is active: in each sequence of a run, or only while one method runs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run

Patch = AbstractContextManager[None]


@contextmanager
def break_each_sequence(run: Run, make_patch: Callable[[Lane], Patch]) -> Iterator[None]:
    """Hold one patch per sequence open as long as the block lasts."""
    with ExitStack() as stack:
        for lane in run.lanes:
            stack.enter_context(make_patch(lane))
        yield


@contextmanager
def break_during(owner: object, name: str, make_patch: Callable[[], Patch]) -> Iterator[None]:
    """Hold a patch open whenever `owner`'s method `name` runs inside the block."""
    original = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - the method's own arguments
        with make_patch():
            return original(*given, **named)

    with swapped(owner, **{name: call}):
        yield
