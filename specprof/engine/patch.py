"""Something else in the place of an attribute, inside a block.

Faults break a run with it; watchers of transformers' loops and probes listen with it.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

_ABSENT = object()


@contextmanager
def swapped(owner: object, **others: object) -> Iterator[None]:
    """Give `owner`, an object, a class or a module, other attributes inside the block.

    Of a torch module they hide its own weights and parts, which stay where they are; of a frozen
    record with slots they take the place of its values.
    """
    before = {name: _of(owner, name) for name in others}
    for name, other in others.items():
        _put(owner, name, other)
    try:
        yield
    finally:
        for name, old in before.items():
            _put(owner, name, old)


@contextmanager
def swapped_in_all(owners: Iterable[object], **others: object) -> Iterator[None]:
    """Do the same to each of several owners."""
    with ExitStack() as stack:
        for owner in owners:
            stack.enter_context(swapped(owner, **others))
        yield


def _of(owner: object, name: str) -> object:
    """Return the attribute `owner` has of its own."""
    if hasattr(owner, "__dict__"):
        return vars(owner).get(name, _ABSENT)
    return getattr(owner, name, _ABSENT)


def _put(owner: object, name: str, value: object) -> None:
    """Set or take away an attribute, past what a frozen record or a torch module makes of it."""
    plain = object if not isinstance(owner, type | ModuleType) else type(owner)
    if value is _ABSENT:
        plain.__delattr__(owner, name)
    else:
        plain.__setattr__(owner, name, value)
