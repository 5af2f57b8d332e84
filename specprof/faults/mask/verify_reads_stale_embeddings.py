"""The target verifies the last round's drafts, because the embeddings are not read again.

Seen in
    vllm-project/vllm#57356: drafted ids were written into a batch with prompt embeddings, but were
    not marked as ids.

Breaks
    In a verification all slots but the first hold the embeddings that they held in the last
    verification.

Shows
    With any drafter, the target's distribution is right at draft index 0 of a burst's first rounds
    and wrong at every later index. Plain steps are right. Lengths and the draft are right. At
    temperature 0 too.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.faults._during import break_during, break_each_sequence
from specprof.faults._miscount import target_of


class VerifyReadsStaleEmbeddings(Fault):
    """Reads a buffer's old content."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Delay each target's embeddings by one verification."""
        return break_each_sequence(
            run, lambda lane: break_during(lane.loop.target, "feed", _hold_back(lane))
        )


def _hold_back(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    embedding: Any = target_of(lane).model.get_input_embeddings()  # type: ignore[operator]
    slots = Slots()

    @contextmanager
    def delay() -> Iterator[None]:
        hook = embedding.register_forward_hook(slots)
        try:
            yield
        finally:
            hook.remove()

    return delay


class Slots:
    """The embeddings of the last verification, by slot."""

    def __init__(self) -> None:
        self.before: torch.Tensor | None = None

    def __call__(self, _: object, __: object, fresh: torch.Tensor) -> torch.Tensor:
        """Return [1, n, width] with old rows in every slot that has any, except slot 0."""
        if fresh.shape[1] == 1:
            return fresh
        before, self.before = self.before, fresh.clone()
        if before is None:
            return fresh
        known = min(before.shape[1], fresh.shape[1])
        return torch.cat([fresh[:, :1], before[:, 1:known], fresh[:, known:]], 1)
