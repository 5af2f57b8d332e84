"""A capture's events as growing columns: what every question and every plot reads.

Knows how to lay events out, live or all at once, and nothing of what they mean: no rates, no
tests, no rules. Columns are views of arrays with room to spare, so feeding a few rounds to a long
capture copies only those rounds. What was not recorded is nan, never 0.
"""

import math
from collections.abc import Sequence

import numpy as np

from specprof.analysis.rows import (
    levels,
    overlap_rows,
    pass_row,
    place_rows,
    rechecked_row,
    rescored_row,
    round_row,
    sample_row,
    span_rows,
)
from specprof.analysis.tables import (
    ROOM,
    Emitted,
    Ints,
    OverlapPlaces,
    Passes,
    Places,
    RecheckedPlaces,
    RescoredTokens,
    Rounds,
    Samples,
    ScoredTokens,
    with_room,
)
from specprof.bounds import Damaged
from specprof.records import (
    Burst,
    End,
    Event,
    Header,
    Note,
    Overlaps,
    Plain,
    Prefill,
    Recheck,
    Round,
    Sample,
    Scan,
    Scored,
)


class Columns:
    """Everything a capture has told so far; `feed` it events as they come."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.end: End | None = None
        self.notes: list[Note] = []
        self.prefills: list[Prefill] = []
        self.bursts: list[Burst] = []
        self.plains: list[Plain] = []
        self.throttled: list[Sample] = []
        """The samples that named a reason for lowered clocks."""
        self.rounds = Rounds()
        self.emitted = Emitted()
        self.places = Places()
        self.rechecked = RecheckedPlaces()
        self.rescored = RescoredTokens()
        self.overlaps = OverlapPlaces()
        self.scans: list[Scan] = []
        self.scored = ScoredTokens()
        self.passes = Passes()
        self.samples = Samples()
        self.damaged = Damaged()
        """The capture's lines that could not be read, as far as its reader says."""
        self._spans: dict[str, Ints] = {}

    def feed(self, events: Sequence[Event]) -> None:
        """Append events in the order they were recorded."""
        self._feed_rounds([event for event in events if isinstance(event, Round)])
        self._feed_scored([event for event in events if isinstance(event, Scored)])
        for read in events:
            self.overlaps.extend(overlap_rows(read) if isinstance(read, Overlaps) else [])
        self.scans += [event for event in events if isinstance(event, Scan)]
        for event in events:
            self._keep(event)

    @property
    def spans(self) -> dict[str, Ints]:
        """Top-level span name -> each round's share of it in nanoseconds, [rounds]."""
        return {name: room[: len(self.rounds)] for name, room in self._spans.items()}

    @property
    def gap_ns(self) -> Ints:
        """Each round's wall time less its top-level spans: the host gap, [rounds]."""
        spans = list(self.spans.values())
        return self.rounds.wall_ns - np.sum(spans, axis=0, dtype=np.int64, initial=0)

    @property
    def trees(self) -> bool:
        """Whether any round drafted more than one token at a level."""
        return bool((self.rounds.drafted > self.rounds.levels).any())

    @property
    def burst_order(self) -> Ints:
        """The rounds' rows with those of a burst together, [rounds]: a batch interleaves them."""
        return np.asarray(np.argsort(self.rounds.burst, kind="stable"), np.int64)

    def rounds_by_burst(self) -> Rounds:
        """Return the rounds with those of a burst together, so that neighbours are of one text."""
        return self.rounds.taken(self.burst_order) if self._interleaved else self.rounds

    def levels_by_burst(self) -> Places:
        """Return the reached levels (`Places.levels`) in the same order."""
        levels = self.places.levels()
        if not self._interleaved:
            return levels
        row = np.searchsorted(self.rounds.index, levels.round).clip(max=len(self.rounds) - 1)
        burst = self.rounds.burst[row]  # of rounds out of order it is one of them
        return levels.taken(np.argsort(burst, kind="stable"))

    @property
    def _interleaved(self) -> bool:
        return bool((np.diff(self.rounds.burst) < 0).any())

    def drafted_at(self, index: int) -> int:
        """Return how many rounds drafted a token at this index: the denominator of S_i."""
        return int((self.rounds.levels > index).sum())

    def first(self, rounds: int) -> "Columns":
        """Return the columns as they stood after so many rounds; later feeding leaves them alone.

        With all rounds asked for, whatever came after the last of them is in.
        """
        whole = rounds >= len(self.rounds)
        cut = Columns()
        cut.header, cut.end = self.header, self.end if whole else None
        cut.damaged = self.damaged.copy()
        cut.rounds = self.rounds.first(rounds)
        now_ns = math.inf if whole else int(cut.rounds.end_ns.max(initial=0))
        below = math.inf if whole else self.rounds.index[rounds]
        cut.notes = [note for note in self.notes if note.at_ns <= now_ns]
        cut.prefills = [one for one in self.prefills if one.start_ns + one.wall_ns <= now_ns]
        cut.bursts = [one for one in self.bursts if one.start_ns + one.wall_ns <= now_ns]
        ended = {one.burst for one in cut.bursts}
        cut.plains = [one for one in self.plains if one.burst in ended]
        cut.throttled = [one for one in self.throttled if one.at_ns <= now_ns]
        cut.places = self.places.first(int(np.searchsorted(self.places.round, below)))
        cut.emitted = self.emitted.first(int(np.searchsorted(self.emitted.round, below)))
        # Rechecked burst by burst: in a batch these are not in the rounds' order.
        cut.rechecked = self.rechecked.where(self.rechecked.round < below)
        ended_ns = self.passes.start_ns + self.passes.wall_ns
        cut.passes = self.passes.first(int(np.searchsorted(ended_ns, now_ns, "right")))
        cut.rescored = self.rescored.where(self.rescored.round < below)
        cut.overlaps, cut.scans = self.overlaps, list(self.scans)
        cut.scored = self.scored.first(int(cut.passes.scored.sum()))
        cut.samples = self.samples.first(int(np.searchsorted(self.samples.at_ns, now_ns, "right")))
        cut._spans = {name: room[: len(cut.rounds)] for name, room in self._spans.items()}
        return cut

    def _keep(self, event: Event) -> None:
        match event:
            case Sample():
                self.samples.extend([sample_row(event)])
                self.throttled += [event] if event.throttle else []
            case Recheck():
                self.rechecked.extend([rechecked_row(place) for place in event.places])
                self.rescored.extend([rescored_row(token) for token in event.emitted])
            case Prefill():
                self.prefills.append(event)
            case Burst():
                self.bursts.append(event)
            case Plain():
                self.plains.append(event)
            case Note():
                self.notes.append(event)
            case Header():
                self.header = event
            case End():
                self.end = event

    def _feed_rounds(self, rounds: list[Round]) -> None:
        before = len(self.rounds)
        pairs = [(one, levels(one.drafted)) for one in rounds]
        self.rounds.extend([round_row(*pair) for pair in pairs])
        self.emitted.extend([(one.index, token) for one in rounds for token in one.emitted])
        self.places.extend([row for pair in pairs for row in place_rows(*pair)])
        for name, room in self._spans.items():
            self._spans[name] = with_room(room, len(self.rounds), before)
        for row, one in enumerate(rounds, start=before):
            for name, ns in span_rows(one):
                self._span(name)[row] += ns

    def _feed_scored(self, passes: list[Scored]) -> None:
        self.passes.extend([pass_row(one) for one in passes])
        self.scored.extend(
            [(one.context + i, nll) for one in passes for i, nll in enumerate(one.nll)]
        )

    def _span(self, name: str) -> Ints:
        if name not in self._spans:
            self._spans[name] = np.zeros(max(ROOM, 2 * len(self.rounds)), np.int64)
        return self._spans[name]
