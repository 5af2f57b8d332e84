"""Where and when a fault holds: in each sequence of a run, or only while one method runs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run

Broken = AbstractContextManager[None]


@contextmanager
def in_each(run: Run, broken: Callable[[Lane], Broken]) -> Iterator[None]:
    """Hold what `broken` makes of each sequence for as long as the block lasts."""
    with ExitStack() as stack:
        for lane in run.lanes:
            stack.enter_context(broken(lane))
        yield


@contextmanager
def during(owner: object, name: str, broken: Callable[[], Broken]) -> Iterator[None]:
    """Run `owner`'s method `name` inside `broken()` each time it is called in the block."""
    whole = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
        with broken():
            return whole(*given, **named)

    with swapped(owner, **{name: call}):
        yield
