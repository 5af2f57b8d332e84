"""Room for the tokens that a broken rollback leaves behind, as a real engine's cache has it.

A run's stores hold just the rows that its settings can need. A store that is never trimmed would
overflow and end the run before the fault could show.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from specprof.engine.patch import swapped
from specprof.engine.stores.dense import Store

EXTRA_ROWS = 4096
"""Tokens that may be left behind over a run."""
SIZE_ATTRIBUTES = ("capacity", "reach", "rows")
"""The attributes that hold a store's sizes; a dense store has the first alone."""


@contextmanager
def enlarge(store: Store) -> Iterator[None]:
    """Let `store`, which is still empty, take `EXTRA_ROWS` more tokens than it was made for."""
    names = [name for name in SIZE_ATTRIBUTES if hasattr(store, name)]
    larger = {name: getattr(store, name) + EXTRA_ROWS for name in names}
    with swapped(store, **larger):
        yield
