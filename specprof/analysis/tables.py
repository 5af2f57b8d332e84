"""Growing columns of numbers: one table for each kind of thing a capture tells of.

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
"""Rounds that a finding names at most."""
_TYPES: dict[Any, type[np.generic]] = {Ints: np.int64, Floats: np.float64, Bools: np.bool_}


def among(values: Ints, others: Ints) -> Bools:
    """Return which of these numbers, [n], are among the others: a faster `numpy.isin`."""
    if not len(others):
        return np.zeros(len(values), np.bool_)
    ordered = np.sort(others)
    place = np.searchsorted(ordered, values).clip(max=len(ordered) - 1)
    return np.asarray(ordered[place] == values)


def distinct(values: Ints) -> Ints:
    """Return these numbers, [n], each once and in order: a faster `numpy.unique` of many."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.diff(ordered, prepend=ordered[:1] - 1) > 0])


def first_rounds(rounds: Ints, where: Bools | Ints | None = None) -> tuple[int, ...]:
    """Return the first few of some rounds' indices, each once: what a `Finding` names.

    `rounds` has one index an entry, in any order; `where` is a mask of entries or their places,
    None: all of them.
    """
    shown = rounds if where is None else rounds[where]
    return tuple(distinct(shown)[:SHOWN_ROUNDS].tolist())


class Table:
    """Rows appended in batches; each annotated name is a column, a view of the rows so far.

    A view taken before a later `extend` keeps the length it had. A table that was cut out of
    another looks its columns up there, each when it is first asked for, and is never extended.
    """

    _whole: "Table"
    """What this one was cut out of."""
    _taken: slice | Ints
    """Which of its rows."""

    def __init__(self) -> None:
        self._columns = {
            name: Column(_TYPES[kind]) for name, kind in type(self).__annotations__.items()
        }
        self._rows = 0
        self._show()

    def __len__(self) -> int:
        return self._rows

    def __getattr__(self, name: str) -> NDArray[Any]:
        """Look a column up in the table that this one was cut out of, and keep it."""
        if name not in type(self).__annotations__:
            raise AttributeError(name)
        column: NDArray[Any] = getattr(self._whole, name)[self._taken]
        setattr(self, name, column)
        return column

    def extend(self, columns: Sequence[NDArray[Any]]) -> None:
        """Append rows, given as a column for each annotated name, in their order, [n] each."""
        rows = len(columns[0])
        if any(len(values) != rows for values in columns):
            raise ValueError("a table's columns are of one length")
        if not rows:
            return
        for column, values in zip(self._columns.values(), columns, strict=True):
            column.extend(values)
        self._rows += rows
        self._show()

    def first(self, rows: int) -> Self:
        """Return the first rows as a table of their own, which later feeding leaves alone."""
        rows = min(rows, self._rows)
        return self._cut(slice(rows), rows)

    def where(self, wanted: Bools) -> Self:
        """Return the rows `wanted` [rows] marks, as a table of their own."""
        rows = np.flatnonzero(wanted)
        return self.first(len(self)) if len(rows) == len(self) else self.taken(rows)

    def taken(self, rows: Ints) -> Self:
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
    final_rank: Floats
    final_order: Floats


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
    target_gap: Floats
    draft_gap: Floats


class RescoredTokens(Table):
    """One row a committed token scored anew without a cache; see `records.Rescored`."""

    round: Ints
    slot: Ints
    target_prob: Floats
    entropy: Floats
    spread: Floats
    shortfall: Floats
    target_gap: Floats
    draft_nll: Floats


class ScoredTokens(Table):
    """One row a known token the target scored, in order: the PPL loop."""

    context: Ints
    """Tokens of the text before it."""
    nll: Floats
    """Nats."""


class OverlapPlaces(Table):
    """One row a place of known text read by both models; see `records.Overlaps`."""

    context: Ints
    """Tokens of the text before it."""
    overlap: Floats
    agree: Bools
    target_nll: Floats
    draft_nll: Floats


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
