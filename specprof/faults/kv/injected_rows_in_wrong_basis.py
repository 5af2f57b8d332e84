"""Some rows of a quantised cache are written in another basis than they are read in.

Seen in
    ggml-org/llama.cpp#25725 and #25823: quantised caches are kept rotated, rows the drafter wrote
    were not.

Breaks
    The rows a draft writes while it drafts differ from those of its prefill by an orthogonal turn
    of the key's and value's numbers.

Shows
    The draft's law strays widely from a burst's first round on, and more as more of what it sees is
    its own; a dense draft cache is clean. Lengths are right, the target is clean. At temperature 0
    too.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, partial
from typing import Any, ClassVar

import torch

from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.engine.stores.dense import Store
from specprof.faults._during import during, in_each
from specprof.faults._miscount import draft_of
from specprof.settings import Value


class InjectedRowsInWrongBasis(Fault):
    """Two writers, one of whom doesn't turn."""

    settings: ClassVar[dict[str, Value]] = {"draft_cache": "quantised"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Turn what each draft writes while it drafts."""
        return in_each(run, _broken)


def _broken(lane: Lane) -> AbstractContextManager[None]:
    turned = partial(_turned, draft_of(lane).store)
    return during(lane.loop.drafter, "propose", turned)


@contextmanager
def _turned(store: Store) -> Iterator[None]:
    with ExitStack() as stack:
        for layer in store.layers:
            stack.enter_context(swapped(layer, update=partial(_write, layer.update)))
        yield


def _write(update: Callable[..., Any], keys: torch.Tensor, values: torch.Tensor) -> Any:  # noqa: ANN401 - as a cache's layer does
    """Write [1, heads, new, head size] rows in the other basis."""
    basis = _basis(keys.shape[-1]).to(keys)
    return update(keys @ basis, values @ basis)


@cache
def _basis(size: int) -> torch.Tensor:
    """Return an orthogonal [size, size], the same each time."""
    drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(size))
    basis: torch.Tensor = torch.linalg.qr(drawn).Q
    return basis
