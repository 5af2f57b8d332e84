"""A batch fills the machine by itself: what speculation verifies beside it is paid in full.

Seen in
    vllm-project/vllm#4565, #8439, #24322, #2607.

Breaks
    A target forward waits for every token of every sequence, as one bound by arithmetic does.

Shows
    With several sequences the verify span takes several plain steps of the same batch.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch

from specprof.engine.batch import Request, SharedDecoder
from specprof.engine.fault import Fault
from specprof.engine.patch import swapped
from specprof.engine.run import Run
from specprof.errors import UsageError
from specprof.faults._waits import wait
from specprof.settings import Value

ARITHMETIC_MS = 6.0
"""A token."""


class BatchSaturation(Fault):
    """Nothing is idle for drafts to use."""

    stage: ClassVar[dict[str, Value]] = {"batch": 3, "stops": 4}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wait in proportion to all that the batch's shared forward is fed."""
        seat = run.loop.target
        if not isinstance(seat, SharedDecoder):
            raise UsageError("a batch of one saturates nothing", "show this fault with batch 2")
        answer = seat.shared.answer

        def slow(requests: Mapping[int, Request]) -> dict[int, torch.Tensor]:
            answers = answer(requests)
            wait(ARITHMETIC_MS * sum(each.tokens.shape[0] for each in requests.values()))
            return answers

        with swapped(seat.shared, answer=slow):
            yield
