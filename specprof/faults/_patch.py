"""Putting something in the place of an attribute, for as long as a fault lasts."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

_ABSENT = object()


@contextmanager
def swapped(owner: object, **others: object) -> Iterator[None]:
    """Give `owner`, an object, a class or a module, other attributes inside the block."""
    before = {name: vars(owner).get(name, _ABSENT) for name in others}
    for name, other in others.items():
        setattr(owner, name, other)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, old)


@contextmanager
def swapped_in_all(owners: Iterable[object], **others: object) -> Iterator[None]:
    """Do the same to each of several owners."""
    with ExitStack() as stack:
        for owner in owners:
            stack.enter_context(swapped(owner, **others))
        yield
