"""Now and then a sequence is rolled back by the accepted count of another one of its batch.

Seen in
    vllm-project/vllm#45100 and #50021; vllm-project/vllm-ascend#13863: the host reads the counts
    before they are there, or after the rows have moved.

Breaks
    In every eighth round of a burst the target's cache forgets as many tokens as its neighbour's
    did last.

Shows
    In a batch the target's cache is off, by either sign, from one round on and for the rest of the
    burst; the law strays from there. A batch of one is clean, and so is the draft. At temperature 0
    too.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.decoder import CausalModel
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, target_counted
from specprof.settings import Value

EVERY = 8
"""Rounds from one mistake to the next."""


class AsyncStaleAcceptCount(Fault):
    """The right number, of the wrong row."""

    settings: ClassVar[dict[str, Value]] = {"batch": 2, "stops": 7}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let each target look at the next one's count."""
        batch: list[Neighbour] = []
        return target_counted(run, lambda target: Neighbour(target, batch))


class Neighbour(TargetCount):
    """One of a batch that share their counts."""

    def __init__(self, target: CausalModel, batch: "list[Neighbour]") -> None:
        super().__init__(target)
        self.batch = batch
        self.place = len(batch)
        self.rounds = self.forgot = 0
        batch.append(self)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Take in a request's text, and count its rounds from there."""
        super().prefill(tokens)
        self.rounds = self.forgot = 0

    def trim(self, by: int) -> None:
        """Trim, by the neighbour's last number where it is that time."""
        self.rounds, self.forgot = self.rounds + 1, by
        neighbour = self.batch[(self.place + 1) % len(self.batch)]
        super().trim(by if self.rounds % EVERY else neighbour.forgot)
