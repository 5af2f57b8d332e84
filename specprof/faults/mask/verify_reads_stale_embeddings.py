"""The target verifies the drafts of the round before: their embeddings were not read anew.

Seen in
    vllm-project/vllm#57356: drafted ids were written into a batch with prompt embeddings, and not
    marked as ids.

Breaks
    In a verification all slots but the first hold the embeddings of the last verification's tokens
    in the same slots.

Shows
    The target's law is right at draft index 0 of a burst's first rounds and strays at every later
    index, whatever the drafter; plain steps are right. Lengths are right, the draft is clean. At
    temperature 0 too.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from specprof.engine.fault import Fault
from specprof.engine.run import Lane, Run
from specprof.faults._during import during, in_each
from specprof.faults._miscount import target_of


class VerifyReadsStaleEmbeddings(Fault):
    """A buffer's old content."""

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Hold back what each target embeds by one verification."""
        return in_each(run, lambda lane: during(lane.loop.target, "feed", _held(lane)))


def _held(lane: Lane) -> Callable[[], AbstractContextManager[None]]:
    embedding: Any = target_of(lane).model.get_input_embeddings()  # type: ignore[operator]
    slots = Slots()

    @contextmanager
    def held() -> Iterator[None]:
        hook = embedding.register_forward_hook(slots)
        try:
            yield
        finally:
            hook.remove()

    return held


class Slots:
    """The embeddings of the last verification, by slot."""

    def __init__(self) -> None:
        self.before: torch.Tensor | None = None

    def __call__(self, _: object, __: object, fresh: torch.Tensor) -> torch.Tensor:
        """Return [1, n, width] with old rows where there are any but in slot 0."""
        if fresh.shape[1] == 1:
            return fresh
        before, self.before = self.before, fresh.clone()
        if before is None:
            return fresh
        known = min(before.shape[1], fresh.shape[1])
        return torch.cat([fresh[:, :1], before[:, 1:known], fresh[:, known:]], 1)
