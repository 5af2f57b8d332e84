"""A burst of a user's loop: its text so far, its rounds, and the events at its end."""

from collections.abc import Callable, Iterator

from specprof.engine.loop import PlayedRound
from specprof.engine.observe.round_recorder import RoundRecorder
from specprof.engine.recheck.kept_logits import KeptLogits
from specprof.engine.recheck.recheck import Reference, recheck
from specprof.recheck_records import ProcessedRows
from specprof.records import Burst, Event, Plain, Recheck, Round

Now = Callable[[], int]
"""Nanoseconds since the capture was opened."""


class OpenBurst:
    """Rounds that extend one text, recorded as they are played."""

    def __init__(
        self,
        number: int,
        committed: list[int],
        recorder: RoundRecorder,
        held: KeptLogits | None,
        now: Now,
    ) -> None:
        """Extend the token ids `committed`; `held` keeps the rounds' logits for a recheck."""
        self.number = number
        self.committed = committed
        """The text so far, emitted tokens included."""
        self.steps_ns: list[int] = []
        """Plain steps timed after the last round."""
        self._recorder = recorder
        self._held = held
        self._now = now
        self._rounds: list[Round] = []
        self._played = 0
        self._context = len(committed)
        self._started_ns = now()

    def play(self, played: PlayedRound, *, raw: bool | None) -> Iterator[Round]:
        """Take in a round; yield the rounds whose evidence is ready.

        `raw`: whether its rows are the models' own logits; None: it came without rows.
        """
        self._played += 1
        if self._held is not None and raw is not None:
            self._held.keep(played)
        elif self._held is not None:
            self._held.rounds.append(None)
        self.committed += played.emitted
        yield from self._keep(self._recorder.take(played, self.number))

    def end(self, stop: frozenset[int]) -> Iterator[Event]:
        """Yield the events at a burst's end: last rounds, totals and plain steps."""
        yield from self.rest()
        emitted = self.committed[self._context :]
        yield Burst(
            burst=self.number,
            start_ns=self._started_ns,
            wall_ns=self._now() - self._started_ns,
            rounds=self._played,
            emitted=len(emitted),
            finish="eos" if stop.intersection(emitted[-1:]) else "length",
        )
        if self.steps_ns:
            yield Plain(burst=self.number, context=len(self.committed), steps_ns=self.steps_ns)

    def recheck(self, reference: Reference) -> Recheck | None:
        """Recompute the rounds from the bare text; None: nothing is there to be rechecked."""
        if self._held is None or not self._rounds:
            return None
        return recheck(reference, self.committed, self._rounds, self._held.rounds)

    def rest(self) -> Iterator[Round]:
        """Yield the rounds not yielded yet; also after an error cut the burst short."""
        yield from self._keep(self._recorder.flush())

    def _keep(self, rounds: Iterator[Round]) -> Iterator[Round]:
        for one in rounds:
            self._rounds.append(one)
            yield one


def describe_processed(rows: ProcessedRows) -> str:
    """Say what a loop did to a model's rows before it decided by them."""
    done = [
        f"up to {rows.ruled_out:,} ids ruled out" if rows.ruled_out else "",
        f"up to {rows.moved:,} ids moved one by one" if rows.moved else "",
        f"all ids moved by one curve in {rows.curved:,} rows" if rows.curved else "",
    ]
    return (
        f"{rows.processed:,} of {rows.compared:,} rows of the {rows.model} in a burst are not raw: "
        f"{', '.join(each for each in done if each)}; they are judged as they are"
    )
