"""From many records to the columns they fill, in the order of the tables' names.

Knows records and the tables' names, not how columns grow. Loops over records only look fields up;
all that follows from the fields is computed on arrays. A record is read as one tuple, which takes
half as long as reading each field.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from specprof.analysis.drafts import Drafts
from specprof.analysis.tables import Ints, Passes, Places, Rounds, Samples
from specprof.recheck_records import OtherLaws, Rechecked, Rescored
from specprof.records import Observed, Overlaps, Recheck, Round, Sample, Scored, Span

Columns = Sequence[NDArray[Any]]
"""A table's columns, in the order of its names; nan where nothing was recorded."""
_WORKED_OUT = frozenset(
    {
        *("drafted", "levels", "reached", "reached_levels", "emitted"),
        *("end_ns", "wall_ns", "shared", "no_law"),
    }
)
NO_LAW = (None, "target", "draft", "sum", "processed")
"""The values of `Round.no_law`."""
_ROUND = tuple(name for name in Rounds.__annotations__ if name not in _WORKED_OUT)
_PLACE_OF = {name: place for place, name in enumerate(Round.__struct_fields__)}
_PASS = tuple(name for name in Passes.__annotations__ if name not in {"context", "scored"})
_OBSERVED = Observed.__struct_fields__
_UNSEEN = (None,) * len(_OBSERVED)


def round_columns(rounds: Sequence[Round], drafts: Drafts) -> Columns:
    """Return the columns of `Rounds`."""
    fields = list(zip(*map(astuple, rounds), strict=True))
    recorded = {name: _numbers(fields[_PLACE_OF[name]]) for name in _ROUND}
    wall_ns = _ints(fields[_PLACE_OF["wall_ns"]])
    shared = np.maximum(_ints(fields[_PLACE_OF["shared"]]), 1)
    worked_out = {
        "drafted": drafts.counts,
        "levels": drafts.levels,
        "reached": drafts.reached_counts,
        "reached_levels": drafts.reached_levels,
        "emitted": _ints(list(map(len, fields[_PLACE_OF["emitted"]]))),
        "end_ns": recorded["start_ns"].astype(np.int64) + wall_ns,
        "wall_ns": wall_ns // shared,
        "shared": shared,
        "no_law": _ints([NO_LAW.index(each) for each in fields[_PLACE_OF["no_law"]]]),
    }
    columns = recorded | worked_out
    return [columns[name] for name in Rounds.__annotations__]


def place_columns(rounds: Sequence[Round], drafts: Drafts) -> Columns:
    """Return the columns of `Places`: the reached drafted tokens, level by level."""
    places = drafts.places()
    tokens, row, level = drafts.reached_tokens(places), drafts.row[places], drafts.level[places]
    seen = [_UNSEEN if one.seen is None else astuple(one.seen) for one in tokens]
    columns = {
        "round": _ints([one.index for one in rounds])[row],
        "node": drafts.node[places],
        "index": level,
        "elder": drafts.elder[places],
        "context": _ints([one.context for one in rounds])[row] + level,
        "token": _ints([one.token for one in tokens]),
        "accepted": np.fromiter([one.accepted for one in tokens], np.bool_, len(tokens)),
    }
    columns |= dict(zip(_OBSERVED, _split_columns(seen, len(_OBSERVED)), strict=True))
    return [columns[name] for name in Places.__annotations__]


def emitted_columns(rounds: Sequence[Round]) -> Columns:
    """Return the columns of `Emitted`."""
    emitted = [one.emitted for one in rounds]
    index = _ints([one.index for one in rounds])
    return np.repeat(index, list(map(len, emitted))), _ints(list(chain.from_iterable(emitted)))


def choice_columns(rounds: Sequence[Round]) -> Columns:
    """Return the columns of `RowChoices`."""
    some = [one for one in rounds if one.row_choices]
    counts = [len(one.row_choices) for one in some]
    row = _ints(list(chain.from_iterable(map(range, counts))))
    tokens = _ints(list(chain.from_iterable(one.row_choices for one in some)))
    return np.repeat(_ints([one.index for one in some]), counts), row, tokens


def span_shares(rounds: Sequence[Round]) -> Iterator[tuple[str, Ints]]:
    """Yield each top-level span's name with every round's share of it in nanoseconds, [rounds]."""
    tops = [[span for span in one.spans if span.parent is None] for one in rounds]
    row = np.repeat(np.arange(len(rounds)), list(map(len, tops)))
    spans: list[Span] = list(chain.from_iterable(tops))
    shared = np.maximum(_ints([one.shared for one in rounds]), 1)
    ns = _ints([span.ns for span in spans]) // shared[row]
    names = [span.name for span in spans]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    number = _ints([numbers[name] for name in names])
    shares = np.zeros(len(numbers) * len(rounds), np.int64)
    np.add.at(shares, number * len(rounds) + row, ns)
    yield from zip(numbers, shares.reshape(len(numbers), len(rounds)), strict=True)


def rechecked_columns(rechecks: Sequence[Recheck]) -> Columns:
    """Return the columns of `RecheckedPlaces`."""
    return _all_fields(list(chain.from_iterable(one.places for one in rechecks)), Rechecked)


def other_columns(rechecks: Sequence[Recheck]) -> Columns:
    """Return the columns of `OtherPlaces`."""
    return _all_fields(list(chain.from_iterable(one.others for one in rechecks)), OtherLaws)


def rescored_columns(rechecks: Sequence[Recheck]) -> Columns:
    """Return the columns of `RescoredTokens`."""
    return _all_fields(list(chain.from_iterable(one.emitted for one in rechecks)), Rescored)


def overlap_columns(read: Sequence[Overlaps]) -> Columns:
    """Return the columns of `OverlapPlaces` from stretches of known text."""
    context = [one.context + place for one in read for place in range(len(one.overlap))]
    lists = (
        list(chain.from_iterable(getattr(one, name) for one in read))
        for name in ("overlap", "agree", "target_nll", "draft_nll")
    )
    return [_ints(context), *(np.array(each, np.float64) for each in lists)]


def pass_columns(passes: Sequence[Scored]) -> Columns:
    """Return the columns of `Passes`."""
    scored = _ints([len(one.nll) for one in passes])
    return [_ints([one.context for one in passes]) + scored, scored, *_fields(passes, _PASS)]


def scored_columns(passes: Sequence[Scored]) -> Columns:
    """Return the columns of `ScoredTokens`."""
    context = [one.context + place for one in passes for place in range(len(one.nll))]
    nll = list(chain.from_iterable(one.nll for one in passes))
    return _ints(context), np.array(nll, np.float64)


def sample_columns(samples: Sequence[Sample]) -> Columns:
    """Return the columns of `Samples`."""
    return _fields(samples, tuple(Samples.__annotations__))


def _fields(records: Sequence[object], names: Sequence[str]) -> Columns:
    """Return these fields of all records, a float64 column each; None becomes nan.

    Whole numbers stay exact up to 2**53, which is 104 days in nanoseconds.
    """
    return _split_columns(list(map(attrgetter(*names), records)), len(names))


def _all_fields(records: Sequence[msgspec.Struct], kind: type[msgspec.Struct]) -> Columns:
    """Return all fields of records of one kind, as `_fields` does."""
    return _split_columns(list(map(astuple, records)), len(kind.__struct_fields__))


def _split_columns(rows: Sequence[tuple[float | None, ...]], width: int) -> Columns:
    flat = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width)
    return list(flat.reshape(-1, width).T)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Return one field of all records as `_fields` does."""
    return np.fromiter(values, np.float64, len(values))


def _ints(values: Sequence[int]) -> Ints:
    return np.fromiter(values, np.int64, len(values))
