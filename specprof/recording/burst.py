"""A burst of a user's loop: its text so far, its rounds, and the events at its end."""

from collections.abc import Callable, Iterator

from specprof.engine.loop import PlayedRound
from specprof.engine.recheck.kept_logits import KeptLogits
from specprof.engine.recheck.recheck import Reference, recheck
from specprof.recheck_records import ProcessedRows
from specprof.recording.round import OpenRound
from specprof.records import Burst, Event, Plain, Recheck, Round

Now = Callable[[], int]
"""Nanoseconds since the capture was opened."""


class OpenBurst:
    """Rounds that extend one text, recorded as they are played."""

    def __init__(
        self,
        number: int,
        committed: list[int],
        held: KeptLogits | None,
        now: Now,
        begin: Callable[["OpenBurst"], OpenRound],
        *,
        request: str | None = None,
        sequence: int = 0,
    ) -> None:
        """Extend the token ids `committed`; `held` keeps the rounds' logits for a recheck."""
        self.number = number
        self.committed = committed
        """The text so far, emitted tokens included."""
        self.request = request
        """The user's id of it; None: no other burst is open beside it."""
        self.sequence = sequence
        """Its place in the batch."""
        self.steps_ns: list[int] = []
        """Plain steps timed after the last round."""
        self._held = held
        self._now = now
        self._begin = begin
        self._rounds: list[Round] = []
        self._played = 0
        self._context = len(committed)
        self._started_ns = now()

    def round(self) -> OpenRound:
        """Begin a round of this burst: a `with` block."""
        return self._begin(self)

    def play(self, played: PlayedRound, *, raw: bool | None) -> None:
        """Take in a round.

        `raw`: whether its rows are the models' own logits; None: it came without rows.
        """
        self._played += 1
        if self._held is not None and raw is not None:
            self._held.keep(played)
        elif self._held is not None:
            self._held.rounds.append(None)
        self.committed += played.emitted

    def keep(self, played: Round) -> None:
        """Keep the record of a round for the recheck, if it is of this burst."""
        if played.burst == self.number:
            self._rounds.append(played)

    def end(self, stop: frozenset[int]) -> Iterator[Event]:
        """Yield the events at a burst's end, behind its rounds: totals and plain steps."""
        emitted = self.committed[self._context :]
        yield Burst(
            burst=self.number,
            start_ns=self._started_ns,
            wall_ns=self._now() - self._started_ns,
            rounds=self._played,
            emitted=len(emitted),
            finish="eos" if stop.intersection(emitted[-1:]) else "length",
            sequence=self.sequence,
            request=self.request,
        )
        if self.steps_ns:
            yield Plain(burst=self.number, context=len(self.committed), steps_ns=self.steps_ns)

    def recheck(self, reference: Reference) -> Recheck | None:
        """Recompute the rounds from the bare text; None: nothing is there to be rechecked."""
        if self._held is None or not self._rounds:
            return None
        return recheck(reference, self.committed, self._rounds, self._held.rounds)


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
