"""Growing columns of numbers: one table for each kind of thing that a capture records.

Columns are views of arrays with room to spare, so feeding a few rounds to a long capture copies
only those rounds. What was not recorded is nan, never 0.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.growing import Column

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SHOWN_ROUNDS = 5
"""The most rounds that a finding or a contradiction names."""
_TYPES: dict[Any, type[np.generic]] = {Ints: np.int64, Floats: np.float64, Bools: np.bool_}


def among(values: Ints, others: Ints) -> Bools:
    """Return which of these numbers, [n], are among the others; faster than `numpy.isin`."""
    if not len(others):
        return np.zeros(len(values), np.bool_)
    ordered = np.sort(others)
    place = np.searchsorted(ordered, values).clip(max=len(ordered) - 1)
    return np.asarray(ordered[place] == values)


def distinct(values: Ints) -> Ints:
    """Return these numbers, [n], each once and in order; faster than `numpy.unique` for many."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.diff(ordered, prepend=ordered[:1] - 1) > 0])


def first_rounds(rounds: Ints, where: Bools | Ints | None = None) -> tuple[int, ...]:
    """Return the lowest few round indices, each once, for a `Finding` to name.

    `rounds` has one index per entry, in any order. `where` is a mask of entries or their places;
    None: all entries.
    """
    shown = rounds if where is None else rounds[where]
    return tuple(distinct(shown)[:SHOWN_ROUNDS].tolist())


class Table:
    """Rows appended in batches; each annotated name is a column, a view of the rows so far.

    A view taken before a later `extend` keeps its length. A table that was cut out of another looks
    each column up there when it is first read, and is never extended.
    """

    _whole: "Table"
    """The table that this one was cut out of."""
    _taken: slice | Ints
    """The rows of `_whole` that this table has."""

    def __init__(self) -> None:
        self._columns = {
            name: Column(_TYPES[kind]) for name, kind in type(self).__annotations__.items()
        }
        self._rows = 0
        self._show()

    def __len__(self) -> int:
        return self._rows

    def __getattr__(self, name: str) -> NDArray[Any]:
        """Look a column up in the table this one was cut out of, and keep it."""
        if name not in type(self).__annotations__:
            raise AttributeError(name)
        column: NDArray[Any] = getattr(self._whole, name)[self._taken]
        setattr(self, name, column)
        return column

    def extend(self, columns: Sequence[NDArray[Any]]) -> None:
        """Append rows, given as one column per annotated name, in the names' order, [n] each.

        Raises ValueError where the columns differ in length.
        """
        rows = len(columns[0])
        if any(len(values) != rows for values in columns):
            raise ValueError("a table's columns must have one length")
        if not rows:
            return
        for column, values in zip(self._columns.values(), columns, strict=True):
            column.extend(values)
        self._rows += rows
        self._show()

    def first(self, rows: int) -> Self:
        """Return the first rows as a table of their own, which a later `extend` leaves alone."""
        rows = min(rows, self._rows)
        return self._cut(slice(rows), rows)

    def where(self, wanted: Bools) -> Self:
        """Return the rows that `wanted` [rows] marks, as a table of their own."""
        rows = np.flatnonzero(wanted)
        return self.first(len(self)) if len(rows) == len(self) else self.take(rows)

    def take(self, rows: Ints) -> Self:
        """Return these rows in this order, as a table of their own."""
        return self._cut(rows, len(rows))

    def _cut(self, taken: slice | Ints, rows: int) -> Self:
        cut = object.__new__(type(self))
        cut._whole, cut._taken, cut._rows = self, taken, rows
        return cut

    def _show(self) -> None:
        for name, column in self._columns.items():
            setattr(self, name, column.shown)


class Rounds(Table):
    """One row per round; see `records.Round` for the fields' conventions."""

    index: Ints
    burst: Ints
    sequence: Ints
    context: Ints
    depth_asked: Ints
    drafted: Ints
    """How many tokens were drafted."""
    levels: Ints
    """How many levels the drafted tokens have: one per token in a chain, fewer in a tree."""
    reached: Ints
    """How many drafted tokens were evaluated."""
    reached_levels: Ints
    """At how many levels a drafted token was evaluated."""
    accepted: Ints
    """How many drafted tokens were accepted: at most one per level."""
    emitted: Ints
    """How many tokens were committed."""
    start_ns: Ints
    end_ns: Ints
    wall_ns: Ints
    """The round's share of the time: a batch step's time is divided among its sequences."""
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
    final_rank: Floats
    final_order: Floats
    no_law: Ints
    """Why no law can be made of its rows: the place in `rows.NO_LAW`; 0: one can be made."""


class Emitted(Table):
    """One row per committed token, in order."""

    round: Ints
    """The round's index."""
    token: Ints


class RowChoices(Table):
    """One row per row of a verify pass, of the rounds that recorded them; see `records.Round`."""

    round: Ints
    """The round's index."""
    row: Ints
    """0 after the last committed token, then one for each drafted token."""
    token: Ints
    """The target's first choice."""


class Places(Table):
    """One row per REACHED drafted token: the places at which acceptance is judged."""

    round: Ints
    node: Ints
    """The token's place in the round's list of drafted tokens, from 0."""
    index: Ints
    """Draft index, from 0: how many drafted tokens the token follows from, its level in a tree."""
    elder: Ints
    """How many siblings were drafted before it; all of them were reached and rejected."""
    context: Ints
    """The place's context: the round's context plus the draft index."""
    token: Ints
    accepted: Bools
    target_prob: Floats
    draft_prob: Floats
    overlap: Floats
    accept_owed: Floats
    draft_rank: Floats

    def settles(self) -> Bools:
        """Return whether a place is the last reached place of its level, [places].

        A level is passed if that place was accepted. In a chain every place is the last.
        """
        same = (self.round[1:] == self.round[:-1]) & (self.index[1:] == self.index[:-1])
        return np.append(~same, True)[: len(self)]

    def levels(self) -> "Places":
        """Return one row per reached LEVEL: the last reached place of the level.

        Its overlap and accept_owed are the sums over the level's places. The acceptance owed to
        each place once its elders were rejected adds up, in the mean, to how often the level is
        passed (theory 2.9).
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
    """One row per place recomputed without a cache; see `records.Rechecked`."""

    round: Ints
    node: Ints
    target_prob: Floats
    draft_prob: Floats
    overlap: Floats
    margin: Floats
    target_gap: Floats
    draft_gap: Floats


class OtherPlaces(Table):
    """One row per place of a chain under other laws; see `records.OtherLaws`."""

    round: Ints
    node: Ints
    target_raw: Floats
    target_unfiltered: Floats
    target_twice: Floats
    target_before: Floats
    target_after: Floats
    draft_soft: Floats
    draft_first: Floats
    draft_before: Floats
    draft_after: Floats
    draft_last: Floats


class RescoredTokens(Table):
    """One row per committed token scored anew without a cache; see `records.Rescored`."""

    round: Ints
    slot: Ints
    target_prob: Floats
    entropy: Floats
    spread: Floats
    shortfall: Floats
    target_gap: Floats
    draft_nll: Floats


class ScoredTokens(Table):
    """One row per known token that the target scored, in order: the perplexity loop."""

    context: Ints
    """Tokens of the text before the token."""
    nll: Floats
    """Negative log-likelihood in nats."""


class OverlapPlaces(Table):
    """One row per place of known text that both models read; see `records.Overlaps`."""

    context: Ints
    """Tokens of the text before the place."""
    overlap: Floats
    agree: Bools
    target_nll: Floats
    draft_nll: Floats


class Passes(Table):
    """One row per forward pass of the perplexity loop; see `records.Scored`."""

    context: Ints
    """Committed tokens after the pass."""
    scored: Ints
    """How many tokens the pass scored."""
    start_ns: Ints
    wall_ns: Ints
    target_length: Floats
    target_kv_bytes: Floats
    target_evicted: Floats


class Samples(Table):
    """One row per reading of the slow counters."""

    at_ns: Ints
    rss_bytes: Floats
    memory_used_bytes: Floats
    allocated_bytes: Floats
    reserved_bytes: Floats
    utilisation_percent: Floats
    power_watts: Floats
    sm_clock_mhz: Floats
    processor_ns: Floats
    loop_ran_ns: Floats
    loop_waited_ns: Floats
    preempted: Floats
