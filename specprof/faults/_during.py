"""Breaking something only while one method runs: a draft's steps and not its prefill, say."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from specprof.faults._patch import swapped


@contextmanager
def during(
    owner: object, name: str, broken: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Run `owner`'s method `name` inside `broken()` each time it is called in the block."""
    whole = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
        with broken():
            return whole(*given, **named)

    with swapped(owner, **{name: call}):
        yield
