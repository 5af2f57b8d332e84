"""From records to the columns they fill: of many at once, in the order of the tables' names.

Knows records and tables' names; nothing of how columns grow. Loops over records only look fields
up: whatever follows from the fields is worked out on arrays.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, compress
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specprof.analysis.drafts import Drafts
from specprof.analysis.tables import Ints, Passes, Places, Rounds, Samples
from specprof.records import (
    Observed,
    Overlaps,
    Recheck,
    Rechecked,
    Rescored,
    Round,
    Sample,
    Scored,
    Span,
)

Columns = Sequence[NDArray[Any]]
"""A table's, in the order of its names; nan where nothing was recorded."""
_WORKED_OUT = frozenset(
    {"drafted", "levels", "reached", "reached_levels", "emitted", "end_ns", "wall_ns", "shared"}
)
_ROUND = tuple(name for name in Rounds.__annotations__ if name not in _WORKED_OUT)
_PASS = tuple(name for name in Passes.__annotations__ if name not in {"context", "scored"})
_OBSERVED = Observed.__struct_fields__
_observed = attrgetter(*_OBSERVED)
_UNSEEN = (None,) * len(_OBSERVED)


def round_columns(rounds: Sequence[Round], drafts: Drafts) -> Columns:
    """Return the columns of `Rounds`."""
    told = dict(zip(_ROUND, _fields(rounds, _ROUND), strict=True))
    wall_ns = _ints([one.wall_ns for one in rounds])
    shared = np.maximum(_ints([one.shared for one in rounds]), 1)
    worked_out = {
        "drafted": drafts.counts,
        "levels": drafts.levels,
        "reached": drafts.reached_counts,
        "reached_levels": drafts.reached_levels,
        "emitted": _ints([len(one.emitted) for one in rounds]),
        "end_ns": told["start_ns"].astype(np.int64) + wall_ns,
        "wall_ns": wall_ns // shared,
        "shared": shared,
    }
    columns = told | worked_out
    return [columns[name] for name in Rounds.__annotations__]


def place_columns(rounds: Sequence[Round], drafts: Drafts) -> Columns:
    """Return the columns of `Places`: of reached drafted tokens, level by level."""
    places = drafts.places()
    tokens, row, level = drafts.reached_tokens(places), drafts.row[places], drafts.level[places]
    seen = (_UNSEEN if one.seen is None else _observed(one.seen) for one in tokens)
    columns = {
        "round": _ints([one.index for one in rounds])[row],
        "node": drafts.node[places],
        "index": level,
        "elder": drafts.elder[places],
        "context": _ints([one.context for one in rounds])[row] + level,
        "token": _ints([one.token for one in tokens]),
        "accepted": np.fromiter([one.accepted for one in tokens], np.bool_, len(tokens)),
    }
    columns |= dict(zip(_OBSERVED, _laid_out(seen, len(_OBSERVED)), strict=True))
    return [columns[name] for name in Places.__annotations__]


def emitted_columns(rounds: Sequence[Round]) -> Columns:
    """Return the columns of `Emitted`."""
    emitted = [one.emitted for one in rounds]
    index = _ints([one.index for one in rounds])
    return np.repeat(index, list(map(len, emitted))), _ints(list(chain.from_iterable(emitted)))


def span_shares(rounds: Sequence[Round]) -> Iterator[tuple[str, Ints]]:
    """Yield each top-level span's name with every round's share of it in nanoseconds, [rounds]."""
    spans = [one.spans for one in rounds]
    flat = list(chain.from_iterable(spans))
    top = [span.parent is None for span in flat]
    row = np.repeat(np.arange(len(rounds)), list(map(len, spans)))[np.array(top, np.bool_)]
    told: list[Span] = list(compress(flat, top))
    shared = np.maximum(_ints([one.shared for one in rounds]), 1)
    ns = _ints([span.ns for span in told]) // shared[row]
    numbers = dict[str, int]()
    number = _ints([numbers.setdefault(span.name, len(numbers)) for span in told])
    for name, mine in numbers.items():
        share = np.zeros(len(rounds), np.int64)
        np.add.at(share, row[number == mine], ns[number == mine])
        yield name, share


def rechecked_columns(rechecks: Sequence[Recheck]) -> Columns:
    """Return the columns of `RecheckedPlaces`."""
    places = list(chain.from_iterable(one.places for one in rechecks))
    return _fields(places, Rechecked.__struct_fields__)


def rescored_columns(rechecks: Sequence[Recheck]) -> Columns:
    """Return the columns of `RescoredTokens`."""
    tokens = list(chain.from_iterable(one.emitted for one in rechecks))
    return _fields(tokens, Rescored.__struct_fields__)


def overlap_columns(read: Sequence[Overlaps]) -> Columns:
    """Return the columns of `OverlapPlaces`, of stretches of known text."""
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
    return _laid_out(map(attrgetter(*names), records), len(names))


def _laid_out(rows: Iterator[tuple[float | None, ...]], width: int) -> Columns:
    flat = np.fromiter(chain.from_iterable(rows), np.float64)
    return list(flat.reshape(-1, width).T)


def _ints(values: Sequence[int]) -> Ints:
    return np.fromiter(values, np.int64, len(values))
