"""What in a capture can't all be true: rounds told twice, counts that disagree, impossible times.

Exact statements about the file, not about the engine: whatever an engine does, one recorder counts
each round once and its clock never runs backwards. Such a file was edited, glued together or
damaged. Knows columns; what rests on a contradiction is withheld by whoever is asked for it.
"""

from collections.abc import Iterator

import numpy as np

from specprof.analysis.altered import altered
from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, of_counts
from specprof.analysis.impossible_times import impossible_times
from specprof.analysis.lone_round import lone_round
from specprof.analysis.tables import Bools, Ints


def contradictions(columns: Columns) -> list[Contradiction]:
    """Return every contradiction found, those of counts first."""
    found = [*_order(columns), *_repeats(columns)]
    if not found:  # by here rounds have one place each, in order
        found = [*_ends(columns), *_bursts(columns), *_outcomes(columns), *altered(columns)]
    if not found:  # what is impossible there may follow from those
        found = [*lone_round(columns)]
    return found or [*impossible_times(columns)]


def _order(columns: Columns) -> Iterator[Contradiction]:
    index = columns.rounds.index
    back = np.flatnonzero(np.diff(index) <= 0)
    if not len(back):
        return
    again = np.sort(index)
    again = np.unique(again[1:][again[1:] == again[:-1]])
    if len(again):
        rounds = "1 round is" if len(again) == 1 else f"{len(again):,} rounds are"
        told = f"{rounds} told more than once, the first is round {again[0]:,}"
        yield of_counts(told, again)
    else:
        late, before = index[back[0] + 1], index[back[0]]
        told = f"rounds are out of order: round {late:,} stands behind round {before:,}"
        yield of_counts(told, index[back + 1])


def _repeats(columns: Columns) -> Iterator[Contradiction]:
    each = {
        "prefills": [one.burst for one in columns.prefills],
        "ends": [one.burst for one in columns.bursts],
        "plain steps": [one.burst for one in columns.plains],
    }
    for name, bursts in each.items():
        if _repeated(np.array(bursts, np.int64)):
            yield of_counts(f"the {name} of a burst are told more than once")
    places, tokens = columns.rechecked, columns.rescored
    if _repeated(places.round, places.node) or _repeated(tokens.round, tokens.slot):
        yield of_counts("the recheck of a place is told more than once")
    if (np.diff(columns.scored.context) <= 0).any():
        yield of_counts("known text is scored more than once, or out of order")


def _ends(columns: Columns) -> Iterator[Contradiction]:
    end, rounds = columns.end, columns.rounds
    if end is None or not len(rounds):
        return
    last, emitted = int(rounds.index[-1]), int(rounds.emitted.sum())
    if end.rounds < len(rounds):
        told = f"its end line counts {end.rounds:,} rounds, and {len(rounds):,} stand before it"
        yield of_counts(told)
    elif end.rounds <= last:
        told = f"its end line counts {end.rounds:,} rounds, and one is numbered {last:,}, from 0"
        yield of_counts(told, rounds.index[-1:])
    elif end.emitted < emitted or (end.rounds == len(rounds) and end.emitted != emitted):
        told = f"its end line counts {end.emitted:,} tokens, and its rounds emit {emitted:,}"
        yield of_counts(told)


def _bursts(columns: Columns) -> Iterator[Contradiction]:
    """Compare what each burst's end counts with its rounds; fewer rounds than it counts are a gap.

    Where no round is missing from the file, none is missing from a burst.
    """
    rounds = columns.rounds
    if not len(rounds) or not columns.bursts:
        return
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    row = {burst: place for place, burst in enumerate(bursts.tolist())}
    played, emitted = np.bincount(of), np.bincount(of, weights=rounds.emitted).astype(np.int64)
    whole = _whole(columns)
    for one in columns.bursts:
        place = row.get(one.burst)
        own = (0, 0) if place is None else (int(played[place]), int(emitted[place]))
        said = (one.rounds, one.emitted)
        more = own[0] > said[0] or own[1] > said[1]
        if more or (one.burst < whole and said != own):
            told = f"the end of burst {one.burst:,} counts {one.rounds:,} rounds and "
            told += f"{one.emitted:,} tokens, and those that stand there are {own[0]:,} and "
            yield of_counts(f"{told}{own[1]:,}", rounds.index[rounds.burst == one.burst])
            return


def _whole(columns: Columns) -> int:
    """Return the number of the first burst that may lack a round: a gap in their count is one."""
    rounds, end = columns.rounds, columns.end
    if len(columns.damaged) or rounds.index[-1] != len(rounds) - 1:
        return 0
    last = int(rounds.burst.max())
    return last + 1 if end and end.rounds == len(rounds) else last


def _outcomes(columns: Columns) -> Iterator[Contradiction]:
    rounds, places, tokens = columns.rounds, columns.places, columns.rescored
    row = np.searchsorted(rounds.index, places.round)
    stood = np.bincount(row, weights=places.accepted, minlength=len(rounds))
    wrong = stood != rounds.accepted
    if wrong.any():
        told = "rounds count other than the drafted tokens they mark as accepted"
        yield of_counts(told, rounds.index[wrong])
    row, known = matched(columns, tokens.round)
    beyond = known & (tokens.slot >= np.append(rounds.emitted, 0)[row])
    if beyond.any():
        told = "tokens are rechecked that their rounds did not emit"
        yield of_counts(told, np.unique(tokens.round[beyond]))


def matched(columns: Columns, rounds: Ints) -> tuple[Ints, Bools]:
    """Return the row of each of these rounds' indices [n], and whether it was recorded at all."""
    index = columns.rounds.index
    row = np.asarray(np.searchsorted(index, rounds), np.int64)
    return row, np.asarray(np.append(index, -1)[row] == rounds)


def _repeated(*columns: Ints) -> bool:
    """Whether two of the rows [n] these columns make up are equal."""
    if len(columns[0]) < 2:  # noqa: PLR2004 - a pair
        return False
    order = np.lexsort(columns)
    same = [np.diff(column[order]) == 0 for column in columns]
    return bool(np.logical_and.reduce(same).any())
