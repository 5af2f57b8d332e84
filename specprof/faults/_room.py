"""Room for what a broken rollback leaves behind: a real engine's cache has it, a measured one not.

A run's stores hold what its settings can need and no row more; so one that is never trimmed would
end the run with an error instead of showing what the error does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from specprof.engine.patch import swapped
from specprof.engine.stores.dense import Store

ROWS = 4096
"""Tokens that may pile up over a run."""
SIZES = ("capacity", "reach", "rows")
"""What a store is measured by; a plain one knows the first alone."""


@contextmanager
def roomier(store: Store) -> Iterator[None]:
    """Let `store`, still empty, take `ROWS` tokens more than was asked of it."""
    larger = {name: getattr(store, name) + ROWS for name in SIZES if hasattr(store, name)}
    with swapped(store, **larger):
        yield
