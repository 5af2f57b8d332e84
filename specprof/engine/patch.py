"""Replaces attributes inside a block, and puts them back at its end.

Faults break a run with it. Watchers of transformers' loops, and probes, observe with it.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

_ABSENT = object()


@contextmanager
def swapped(owner: object, **others: object) -> Iterator[None]:
    """Give `owner`, an object, a class or a module, other attributes inside the block.

    In a torch module they hide its own weights and parts, which stay registered. In a frozen record
    with slots they replace its values.
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
    """Give each of several owners other attributes inside the block."""
    with ExitStack() as stack:
        for owner in owners:
            stack.enter_context(swapped(owner, **others))
        yield


def _of(owner: object, name: str) -> object:
    """Return the attribute that is `owner`'s own, not its class's."""
    if hasattr(owner, "__dict__"):
        return vars(owner).get(name, _ABSENT)
    return getattr(owner, name, _ABSENT)


def _put(owner: object, name: str, value: object) -> None:
    """Set or delete an attribute, even of a frozen record or a torch module."""
    plain = object if not isinstance(owner, type | ModuleType) else type(owner)
    if value is _ABSENT:
        plain.__delattr__(owner, name)
    else:
        plain.__setattr__(owner, name, value)
