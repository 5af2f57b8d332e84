"""A capture's events as growing columns, which every question and every plot reads.

Knows how to lay events out, live or all at once, and not what they mean: no rates, no tests, no
rules. Columns are views of arrays with room to spare, so feeding a few rounds to a long capture
copies only those rounds. What was not recorded is nan, never 0.
"""

from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from specprof.analysis import rows
from specprof.analysis.drafts import Drafts
from specprof.analysis.growing import INITIAL_ROWS, allocate_room, ensure_room
from specprof.analysis.tables import (
    Emitted,
    Ints,
    OtherPlaces,
    OverlapPlaces,
    Passes,
    Places,
    RecheckedPlaces,
    RescoredTokens,
    Rounds,
    RowChoices,
    Samples,
    ScoredTokens,
    Table,
)
from specprof.bounds import Damaged
from specprof.recheck_records import ProcessedRows
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

if TYPE_CHECKING:
    from specprof.recheck_records import OtherInput, ShiftedRows


class Columns:
    """Everything read from a capture so far; `feed` it events as they come."""

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
        self.row_choices = RowChoices()
        self.rechecked = RecheckedPlaces()
        self.rescored = RescoredTokens()
        self.others = OtherPlaces()
        self.processed = list[tuple[int, ProcessedRows]]()
        """Rechecked bursts, and what a user's loop did to a model's rows there."""
        self.overlaps = OverlapPlaces()
        self.other_inputs: list[OtherInput] = []
        self.scans: list[Scan] = []
        self.scored = ScoredTokens()
        self.shifted: list[tuple[int, ShiftedRows]] = []
        """Rows that are another place's, each with the burst that was rechecked."""
        self.passes = Passes()
        self.samples = Samples()
        self.damaged = Damaged()
        """The capture's lines that its reader could not read."""
        self.torn = False
        """Whether the capture has an incomplete line at its end."""
        self._spans: dict[str, Ints] = {}
        self._lists: dict[type[Event], list[Any]] = {
            Prefill: self.prefills,
            Burst: self.bursts,
            Plain: self.plains,
            Note: self.notes,
            Scan: self.scans,
        }

    def feed(self, events: Sequence[Event]) -> None:
        """Append events in the order they were recorded."""
        by_kind = dict[type[Event], list[Any]]()
        for event in events:
            by_kind.setdefault(type(event), []).append(event)
        for kind, alike in by_kind.items():
            self._take(kind, alike)

    @property
    def spans(self) -> dict[str, Ints]:
        """Top-level span name -> each round's share of it in nanoseconds, [rounds]."""
        return {name: room[: len(self.rounds)] for name, room in self._spans.items()}

    @property
    def gap_ns(self) -> Ints:
        """Each round's wall time less its top-level spans: the host gap, [rounds].

        It is negative where clocks overlap, so that sums over rounds come out even. A screen or an
        export shows 0 then.
        """
        spans = list(self.spans.values())
        return self.rounds.wall_ns - np.sum(spans, axis=0, dtype=np.int64, initial=0)

    @property
    def trees(self) -> bool:
        """Whether any round drafted more than one token at a level."""
        return bool((self.rounds.drafted > self.rounds.levels).any())

    @property
    def unreadable(self) -> str | None:
        """Why nothing can be judged: lines are damaged and no result could be read; else None.

        None also where the run was set to record no rounds.
        """
        tables: tuple[Sized, ...] = (self.rounds, self.scored, self.overlaps, self.scans)
        unasked = self.header is not None and self.header.spec.settings.detail == "off"
        return None if unasked or any(map(len, tables)) else self.damaged.sentence() or None

    @property
    def burst_order(self) -> Ints:
        """The rounds' rows, [rounds], with each burst's rows together: a batch interleaves them."""
        if not self._interleaved:
            return np.arange(len(self.rounds))
        return np.asarray(np.argsort(self.rounds.burst, kind="stable"), np.int64)

    def rounds_by_burst(self) -> Rounds:
        """Return the rounds with each burst's together, so that neighbours are of one text."""
        return self.rounds.take(self.burst_order) if self._interleaved else self.rounds

    def levels_by_burst(self) -> Places:
        """Return the reached levels (`Places.levels`) with each burst's together."""
        levels = self.places.levels()
        if not self._interleaved:
            return levels
        row = np.searchsorted(self.rounds.index, levels.round).clip(max=len(self.rounds) - 1)
        burst = self.rounds.burst[row]  # any burst, where rounds are out of order
        return levels.take(np.argsort(burst, kind="stable"))

    @property
    def _interleaved(self) -> bool:
        return bool((np.diff(self.rounds.burst) < 0).any())

    def drafted_at(self, index: int) -> int:
        """Return how many rounds drafted a token at this index: the denominator of S_i."""
        return int((self.rounds.levels > index).sum())

    def first(self, rounds: int) -> "Columns":
        """Return the columns as they were after the first `rounds` rounds.

        A later `feed` leaves them alone. Where `rounds` covers all rounds, later events are
        included.
        """
        if rounds >= len(self.rounds):
            return self._so_far()
        cut = Columns()
        cut.header, cut.rounds = self.header, self.rounds.first(rounds)
        cut.damaged, cut.torn = self.damaged.copy(), self.torn
        now_ns, below = int(cut.rounds.end_ns.max(initial=0)), self.rounds.index[rounds]
        cut.notes = [note for note in self.notes if note.at_ns <= now_ns]
        cut.prefills = [one for one in self.prefills if one.start_ns + one.wall_ns <= now_ns]
        cut.bursts = [one for one in self.bursts if one.start_ns + one.wall_ns <= now_ns]
        ended = {one.burst for one in cut.bursts}
        cut.plains = [one for one in self.plains if one.burst in ended]
        cut.throttled = [one for one in self.throttled if one.at_ns <= now_ns]
        cut.places = self.places.first(int(np.searchsorted(self.places.round, below)))
        cut.emitted = self.emitted.first(int(np.searchsorted(self.emitted.round, below)))
        cut.row_choices = self.row_choices.where(self.row_choices.round < below)
        # Bursts are rechecked one by one: in a batch rechecks are not in the rounds' order.
        cut.rechecked = self.rechecked.where(self.rechecked.round < below)
        ended_ns = self.passes.start_ns + self.passes.wall_ns
        cut.passes = self.passes.first(int(np.searchsorted(ended_ns, now_ns, "right")))
        cut.rescored = self.rescored.where(self.rescored.round < below)
        cut.others = self.others.where(self.others.round < below)
        cut.other_inputs = [one for one in self.other_inputs if one.round < below]
        cut.shifted = [one for one in self.shifted if one[0] in ended]
        cut.processed = [each for each in self.processed if each[0] in ended]
        cut.overlaps, cut.scans = self.overlaps, list(self.scans)
        cut.scored = self.scored.first(int(cut.passes.scored.sum()))
        cut.samples = self.samples.first(int(np.searchsorted(self.samples.at_ns, now_ns, "right")))
        cut._spans = {name: room[:rounds] for name, room in self._spans.items()}
        return cut

    def _so_far(self) -> "Columns":
        cut = Columns()
        cut.header, cut.end, cut.throttled = self.header, self.end, list(self.throttled)
        cut.other_inputs = list(self.other_inputs)
        cut.shifted = list(self.shifted)
        cut.damaged, cut.torn = self.damaged.copy(), self.torn
        for kind, alike in self._lists.items():
            cut._lists[kind] += alike
        for name, table in vars(self).items():
            if isinstance(table, Table):
                setattr(cut, name, table.first(len(table)))
        cut._spans, cut.processed = self.spans, list(self.processed)
        return cut

    def _take(self, kind: type[Event], alike: list[Any]) -> None:
        """Append events of one kind."""
        if kind is Round:
            self._take_rounds(alike)
        elif kind is Recheck:
            self.rechecked.extend(rows.rechecked_columns(alike))
            self.rescored.extend(rows.rescored_columns(alike))
            self.others.extend(rows.other_columns(alike))
            self.other_inputs += [one for each in alike for one in each.other_inputs]
            self.shifted += [(one.burst, each) for one in alike for each in one.shifted]
            self.processed += [(one.burst, each) for one in alike for each in one.processed]
        elif kind is Overlaps:
            self.overlaps.extend(rows.overlap_columns(alike))
        elif kind is Scored:
            self.passes.extend(rows.pass_columns(alike))
            self.scored.extend(rows.scored_columns(alike))
        elif kind is Sample:
            self.samples.extend(rows.sample_columns(alike))
            self.throttled += [one for one in alike if one.throttle]
        elif kind is Header:
            self.header = alike[-1]
        elif kind is End:
            self.end = alike[-1]
        else:
            self._lists[kind] += alike

    def _take_rounds(self, rounds: list[Round]) -> None:
        before, drafts = len(self.rounds), Drafts(rounds)
        self.rounds.extend(rows.round_columns(rounds, drafts))
        self.emitted.extend(rows.emitted_columns(rounds))
        self.places.extend(rows.place_columns(rounds, drafts))
        self.row_choices.extend(rows.choice_columns(rounds))
        for name, room in self._spans.items():
            self._spans[name] = ensure_room(room, len(self.rounds), before)
        for name, share in rows.span_shares(rounds):
            self._span(name)[before : len(self.rounds)] = share

    def _span(self, name: str) -> Ints:
        if name not in self._spans:
            self._spans[name] = allocate_room(
                max(INITIAL_ROWS, 2 * len(self.rounds)), np.dtype(np.int64)
            )
        return self._spans[name]
