"""A step of a user's batch: one draft and one verification of several requests.

Its wall time and spans belong to all its rounds, as in the engine's own batches: each round of the
step is recorded with the whole step's times, and with how many rounds share them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from specprof.engine.instruments.stopwatch import Stopwatch
from specprof.errors import UsageError
from specprof.recording.burst import OpenBurst
from specprof.recording.checks import check_span_name
from specprof.recording.round import DescribedRound

Describe = Callable[["OpenStep", OpenBurst], DescribedRound]
"""Begins a round of a burst in a step."""


class OpenStep:
    """A round of every sequence that still decodes, while a `with` block runs.

    A step that an error cut short is not recorded: what it committed is not known.
    """

    def __init__(self, watch: Stopwatch, batch: int, describe: Describe) -> None:
        """Let `batch` rounds at most share the step."""
        self.open = False
        """Whether its `with` block is running."""
        self._watch = watch
        self._batch = batch
        self._describe = describe
        self._rounds: dict[int, DescribedRound] = {}
        """Its rounds by the number of their burst."""

    @property
    def shared(self) -> int:
        """How many rounds share it."""
        return len(self._rounds)

    def __enter__(self) -> Self:
        self._watch.begin()
        self.open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.open = False
        if error is not None:
            return
        lap = self._watch.finish()
        for each in self._rounds.values():
            each.require_verdict()  # of all, before the first is recorded
        for each in self._rounds.values():
            each.finish(lap)

    def span(self, name: str) -> AbstractContextManager[None]:
        """Time a part of the step, and so of all its rounds: draft, verify, accept, rollback."""
        check_span_name(name)
        return self._watch.span(name)

    def round(self, burst: OpenBurst) -> DescribedRound:
        """Return the burst's round of this step, to be described before the step's block ends.

        The burst's text grows as the block ends.

        Raises UsageError if the burst has a round in this step already, or if the step has as many
        rounds as the batch that was declared.
        """
        if not self.open:
            raise UsageError("a round was begun in a step that has ended", "begin another step")
        if burst.number in self._rounds:
            title = f"burst {burst.number:,} has a round in this step already"
            raise UsageError(title, "a step has one round of each burst")
        if len(self._rounds) >= self._batch:
            title = f"a step has {len(self._rounds) + 1} rounds, and the batch is {self._batch}"
            raise UsageError(title, "declare it: specprof.record(..., batch=N), N rounds at most")
        self._rounds[burst.number] = self._describe(self, burst)
        return self._rounds[burst.number]
