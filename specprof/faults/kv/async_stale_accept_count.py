"""Now and then a sequence is rolled back by another sequence's accepted count.

Seen in
    vllm-project/vllm#45100 and #50021; vllm-project/vllm-ascend#13863: the host reads the counts
    before the device has written them, or after the rows have moved.

Breaks
    In every eighth round of a burst the target's cache forgets as many tokens as its neighbour in
    the batch last forgot.

Shows
    In a batch the target's cache becomes too long or too short at some round, and stays so for the
    rest of the burst. The target's distribution is wrong from there on. A batch of one is right,
    and so is the draft. At temperature 0 too.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from specprof.engine.decoder import CausalModel
from specprof.engine.fault import Fault
from specprof.engine.run import Run
from specprof.faults._miscount import TargetCount, replace_target_count
from specprof.settings import Value

ROUND_INTERVAL = 8
"""Rounds from one mistake to the next."""


class AsyncStaleAcceptCount(Fault):
    """Reads the right number from the wrong row."""

    settings: ClassVar[dict[str, Value]] = {"batch": 2, "stops": 7}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Let each target read the count of the next sequence's target."""
        batch: list[Neighbour] = []
        return replace_target_count(run, lambda target: Neighbour(target, batch))


class Neighbour(TargetCount):
    """A target's count that can read the other counts of its batch."""

    def __init__(self, target: CausalModel, batch: "list[Neighbour]") -> None:
        super().__init__(target)
        self.batch = batch
        self.place = len(batch)
        self.rounds = self.forgot = 0
        batch.append(self)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Read a request's text, and count its rounds from there."""
        super().prefill(tokens)
        self.rounds = self.forgot = 0

    def trim(self, by: int) -> None:
        """Trim by `by`, or in every eighth round by what the neighbour last forgot."""
        self.rounds, self.forgot = self.rounds + 1, by
        neighbour = self.batch[(self.place + 1) % len(self.batch)]
        super().trim(by if self.rounds % ROUND_INTERVAL else neighbour.forgot)
