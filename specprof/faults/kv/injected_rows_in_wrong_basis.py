"""Some rows of a quantised cache are written in one basis and read in another.

Seen in
    ggml-org/llama.cpp#25725 and #25823: quantised caches are kept rotated, but the rows that the
    drafter wrote were not.

Breaks
    The keys and values that a draft writes while it drafts are multiplied by an orthogonal matrix.
    Those of its prefill are not.

Shows
    The draft's distribution is far off from a burst's first round on, and further off the more rows
    it wrote itself. A dense draft cache is right. Lengths and the target are right. At temperature
    0 too.
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
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._miscount import draft_of
from specprof.settings import Value


class InjectedRowsInWrongBasis(Fault):
    """Writes in one basis in prefill, and in another while drafting."""

    settings: ClassVar[dict[str, Value]] = {"draft_cache": "quantised"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Rotate the rows that each draft writes while it drafts."""
        return break_each_sequence(run, _break_sequence)


def _break_sequence(lane: Lane) -> AbstractContextManager[None]:
    rotate = partial(_rotate_writes, draft_of(lane).store)
    return break_during(lane.loop.drafter, "propose", rotate)


@contextmanager
def _rotate_writes(store: Store) -> Iterator[None]:
    with ExitStack() as stack:
        for layer in store.layers:
            stack.enter_context(swapped(layer, update=partial(_write, layer.update)))
        yield


def _write(update: Callable[..., Any], keys: torch.Tensor, values: torch.Tensor) -> Any:  # noqa: ANN401 - a layer's own type
    """Write [1, heads, new, head size] rows in the other basis."""
    basis = _draw_basis(keys.shape[-1]).to(keys)
    return update(keys @ basis, values @ basis)


@cache
def _draw_basis(size: int) -> torch.Tensor:
    """Return an orthogonal [size, size] matrix, which depends on the size alone."""
    drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(size))
    basis: torch.Tensor = torch.linalg.qr(drawn).Q
    return basis
