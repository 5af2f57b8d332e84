"""A capture's events as growing columns: what every question and every plot reads.

Knows how to lay events out, live or all at once, and nothing of what they mean: no rates, no
tests, no rules. Columns are views of arrays with room to spare, so feeding a few rounds to a long
capture copies only those rounds. What was not recorded is nan, never 0.
"""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.rows import (
    levels,
    pass_row,
    place_rows,
    rechecked_row,
    round_row,
    sample_row,
    span_rows,
)
from specprof.records import (
    Burst,
    End,
    Event,
    Header,
    Note,
    Plain,
    Prefill,
    Recheck,
    Round,
    Sample,
    Scored,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_TYPES: dict[Any, type[np.generic]] = {Ints: np.int64, Floats: np.float64, Bools: np.bool_}
_ROOM = 256


class Table:
    """Rows appended in batches; each annotated name is a column, a view of the rows so far.

    A view taken before a later `extend` keeps the length it had.
    """

    def __init__(self) -> None:
        self._kinds = {name: _TYPES[kind] for name, kind in type(self).__annotations__.items()}
        self._room = {name: np.empty(_ROOM, dtype) for name, dtype in self._kinds.items()}
        self._rows = 0
        self._show()

    def __len__(self) -> int:
        return self._rows

    def extend(self, rows: Sequence[tuple[float, ...]]) -> None:
        """Append rows whose values stand in the order of the annotated names."""
        if not rows:
            return
        # Through float64: exact up to 2**53, which is 104 days in nanoseconds.
        block = np.array(rows, dtype=np.float64)
        start, self._rows = self._rows, self._rows + len(rows)
        for name, values in zip(self._room, block.T, strict=True):
            self._room[name] = _with_room(self._room[name], self._rows, start)
            with np.errstate(invalid="ignore"):  # a number no int64 holds, in a damaged file
                self._room[name][start : self._rows] = values
        self._show()

    def first(self, rows: int) -> Self:
        """Return the first rows as a table of their own, which later feeding leaves alone."""
        cut = object.__new__(type(self))
        # A copy of the columns, not of the rows: an `extend` of the cut would take room of its own.
        cut._kinds, cut._rows = self._kinds, min(rows, self._rows)
        cut._room = {name: getattr(self, name)[: cut._rows] for name in self._kinds}
        cut._show()
        return cut

    def where(self, wanted: Bools) -> Self:
        """Return the rows `wanted` [rows] marks, as a table of their own."""
        return self.taken(np.flatnonzero(wanted))

    def taken(self, rows: Ints) -> Self:
        """Return these rows in this order, as a table of their own."""
        cut = object.__new__(type(self))
        cut._kinds, cut._rows = self._kinds, len(rows)
        cut._room = {name: getattr(self, name)[rows] for name in self._kinds}
        cut._show()
        return cut

    def _show(self) -> None:
        for name, room in self._room.items():
            setattr(self, name, room[: self._rows])


class Rounds(Table):
    """One row a round; see `records.Round` for the fields' conventions."""

    index: Ints
    burst: Ints
    sequence: Ints
    context: Ints
    depth_asked: Ints
    drafted: Ints
    """How many tokens were drafted."""
    levels: Ints
    """How many levels they make up: as many in a chain, fewer in a tree."""
    reached: Ints
    """How many of the tokens were evaluated."""
    reached_levels: Ints
    """At how many levels one was."""
    accepted: Ints
    """How many stood: one at most of a level."""
    emitted: Ints
    """How many tokens were committed."""
    start_ns: Ints
    end_ns: Ints
    wall_ns: Ints
    """The round's share of the time: a batch step's is divided among its sequences."""
    shared: Ints
    target_forwards: Ints
    draft_forwards: Ints
    target_length: Floats
    draft_length: Floats
    target_kv_bytes: Floats
    draft_kv_bytes: Floats
    target_evicted: Floats
    draft_evicted: Floats
    final_target_prob: Floats
    final_draft_prob: Floats


class Emitted(Table):
    """One row a committed token, in order."""

    round: Ints
    """The round's index."""
    token: Ints


class Places(Table):
    """One row a REACHED drafted token: the places acceptance is judged at."""

    round: Ints
    node: Ints
    """Which of the round's drafted tokens it is, from 0."""
    index: Ints
    """Draft index, from 0: how many drafted tokens it follows from, its level in a tree."""
    elder: Ints
    """How many siblings were drafted before it; all of them were reached, and rejected."""
    context: Ints
    """Of the place: the round's context plus the draft index."""
    token: Ints
    accepted: Bools
    target_prob: Floats
    draft_prob: Floats
    overlap: Floats
    accept_owed: Floats
    draft_rank: Floats

    def settles(self) -> Bools:
        """Return whether a place is the last reached of its level, [places]: all are in a chain.

        A level is passed if that place was accepted.
        """
        same = (self.round[1:] == self.round[:-1]) & (self.index[1:] == self.index[:-1])
        return np.append(~same, True)[: len(self)]

    def levels(self) -> "Places":
        """Return one row a reached LEVEL: the place that settled it.

        Its overlap and accept_owed are the sums over the level's places: what each owed once its
        elders were rejected adds up, in the mean, to how often the level is passed (theory 2.9).
        """
        if not self.elder.any():
            return self
        settles = self.settles()
        level: Ints = np.cumsum(settles) - settles
        cut = self.where(settles)
        for name in ("overlap", "accept_owed"):
            setattr(cut, name, np.bincount(level, weights=getattr(self, name)))
        return cut


class RecheckedPlaces(Table):
    """One row a place recomputed without a cache; see `records.Rechecked`."""

    round: Ints
    node: Ints
    target_prob: Floats
    draft_prob: Floats
    overlap: Floats
    margin: Floats


class ScoredTokens(Table):
    """One row a known token the target scored, in order: the PPL loop."""

    context: Ints
    """Tokens of the text before it."""
    nll: Floats
    """Nats."""


class Passes(Table):
    """One row a forward pass of the PPL loop; see `records.Scored`."""

    context: Ints
    """Committed tokens once it was done."""
    scored: Ints
    """How many tokens it scored."""
    start_ns: Ints
    wall_ns: Ints
    target_length: Floats
    target_kv_bytes: Floats
    target_evicted: Floats


class Samples(Table):
    """One row a reading of the slow counters."""

    at_ns: Ints
    rss_bytes: Floats
    memory_used_bytes: Floats
    allocated_bytes: Floats
    reserved_bytes: Floats
    utilisation_percent: Floats
    power_watts: Floats
    sm_clock_mhz: Floats


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
        self.scored = ScoredTokens()
        self.passes = Passes()
        self.samples = Samples()
        self._spans: dict[str, Ints] = {}

    def feed(self, events: Sequence[Event]) -> None:
        """Append events in the order they were recorded."""
        self._feed_rounds([event for event in events if isinstance(event, Round)])
        self._feed_scored([event for event in events if isinstance(event, Scored)])
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
        burst = self.rounds.burst[np.searchsorted(self.rounds.index, levels.round)]
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
        cut.rechecked = self.rechecked.first(int(np.searchsorted(self.rechecked.round, below)))
        ended_ns = self.passes.start_ns + self.passes.wall_ns
        cut.passes = self.passes.first(int(np.searchsorted(ended_ns, now_ns, "right")))
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
            self._spans[name] = _with_room(room, len(self.rounds), before)
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
            self._spans[name] = np.zeros(max(_ROOM, 2 * len(self.rounds)), np.int64)
        return self._spans[name]


def _with_room(room: NDArray[Any], rows: int, used: int) -> NDArray[Any]:
    """Return `room`, or a copy of its used part in twice the room needed, zero beyond it."""
    if rows <= len(room):
        return room
    grown = np.zeros(2 * rows, room.dtype)
    grown[:used] = room[:used]
    return grown
