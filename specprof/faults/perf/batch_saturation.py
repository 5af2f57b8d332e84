"""A batch uses the whole machine by itself, so every drafted token costs full time to verify.

Seen in
    vllm-project/vllm#4565, #8439, #24322, #2607.

Breaks
    A target forward waits a fixed time for every token of every sequence, as a forward bound by
    arithmetic does.

Shows
    With several sequences the verify span takes as long as several plain steps of the same batch.
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

MS_PER_TOKEN = 6.0


class BatchSaturation(Fault):
    """Leaves no part of the machine idle for drafts."""

    settings: ClassVar[dict[str, Value]] = {"batch": 3, "stops": 4}

    @contextmanager
    def inject(self, run: Run) -> Iterator[None]:
        """Wait in proportion to the tokens that the batch's shared forward is fed.

        Raises UsageError without a batch.
        """
        seat = run.loop.target
        if not isinstance(seat, SharedDecoder):
            raise UsageError("a batch of one saturates nothing", "show this fault with batch 2")
        answer = seat.shared.answer

        def answer_slowly(requests: Mapping[int, Request]) -> dict[int, torch.Tensor]:
            answers = answer(requests)
            wait(MS_PER_TOKEN * sum(each.tokens.shape[0] for each in requests.values()))
            return answers

        with swapped(seat.shared, answer=answer_slowly):
            yield
