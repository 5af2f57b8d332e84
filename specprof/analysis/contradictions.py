"""What in a capture can't all be true: repeated rounds, counts that disagree, impossible times.

These are exact statements about the file, not about the engine. For any engine, one recorder
counts each round once and its clock never runs backwards. A file that contradicts itself was
edited, glued together or damaged. Knows columns. `Evidence` withholds answers that rest on a
contradiction.
"""

from collections.abc import Iterator

import numpy as np

from specprof.analysis.altered import altered_numbers
from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, contradict_counts
from specprof.analysis.impossible_times import impossible_times
from specprof.analysis.lone_round import lone_round
from specprof.analysis.tables import Bools, Ints


def contradictions(columns: Columns) -> list[Contradiction]:
    """Return the contradictions of counts.

    Where there are none, return those of a lone round; where there are none either, those of times.
    """
    found = [*_wrong_order(columns), *_repeated_lines(columns)]
    if not found:  # so every round stands once, and in order
        found = [
            *_wrong_end_counts(columns),
            *_wrong_burst_counts(columns),
            *_wrong_outcomes(columns),
            *_lawless_rounds_with_laws(columns),
            *_wrong_recheck_counts(columns),
            *altered_numbers(columns),
        ]
    if not found:  # an impossible round may follow from those
        found = [*lone_round(columns)]
    return found or [*impossible_times(columns)]


def _wrong_order(columns: Columns) -> Iterator[Contradiction]:
    index = columns.rounds.index
    back = np.flatnonzero(np.diff(index) <= 0)
    if not len(back):
        return
    again = np.sort(index)
    again = np.unique(again[1:][again[1:] == again[:-1]])
    if len(again):
        rounds = "1 round is" if len(again) == 1 else f"{len(again):,} rounds are"
        text = f"{rounds} recorded more than once, the first is round {again[0]:,}"
        yield contradict_counts(text, again)
    else:
        late, before = index[back[0] + 1], index[back[0]]
        text = f"rounds are out of order: round {late:,} stands behind round {before:,}"
        yield contradict_counts(text, index[back + 1])


def _repeated_lines(columns: Columns) -> Iterator[Contradiction]:
    each = {
        "prefills": [one.burst for one in columns.prefills],
        "ends": [one.burst for one in columns.bursts],
        "plain steps": [one.burst for one in columns.plains],
    }
    for name, bursts in each.items():
        if _has_repeats(np.array(bursts, np.int64)):
            yield contradict_counts(f"the {name} of a burst are recorded more than once")
    places, tokens = columns.rechecked, columns.rescored
    if _has_repeats(places.round, places.node) or _has_repeats(tokens.round, tokens.slot):
        yield contradict_counts("the recheck of a token is recorded more than once")
    if (np.diff(columns.scored.context) <= 0).any():
        yield contradict_counts("known text is scored more than once, or out of order")


def _wrong_end_counts(columns: Columns) -> Iterator[Contradiction]:
    end, rounds = columns.end, columns.rounds
    if end is None or not len(rounds):
        return
    last, emitted = int(rounds.index[-1]), int(rounds.emitted.sum())
    if end.rounds < len(rounds):
        text = f"its end line counts {end.rounds:,} rounds, and {len(rounds):,} stand before it"
        yield contradict_counts(text)
    elif end.rounds <= last:
        text = f"its end line counts {end.rounds:,} rounds, and one is numbered {last:,}, from 0"
        yield contradict_counts(text, rounds.index[-1:])
    elif end.emitted < emitted or (end.rounds == len(rounds) and end.emitted != emitted):
        text = f"its end line counts {end.emitted:,} tokens, and its rounds emit {emitted:,}"
        yield contradict_counts(text)


def _wrong_burst_counts(columns: Columns) -> Iterator[Contradiction]:
    """Compare the counts of each burst's end with its rounds.

    Fewer rounds than counted may be a gap in the file. Where the file has no gap, they contradict.
    """
    rounds = columns.rounds
    if not len(rounds) or not columns.bursts:
        return
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    row = {burst: place for place, burst in enumerate(bursts.tolist())}
    played, emitted = np.bincount(of), np.bincount(of, weights=rounds.emitted).astype(np.int64)
    whole = _first_partial_burst(columns)
    for one in columns.bursts:
        place = row.get(one.burst)
        own = (0, 0) if place is None else (int(played[place]), int(emitted[place]))
        counted = (one.rounds, one.emitted)
        more = own[0] > counted[0] or own[1] > counted[1]
        if more or (one.burst < whole and counted != own):
            text = f"the end of burst {one.burst:,} counts {one.rounds:,} rounds and "
            text += f"{one.emitted:,} tokens, and the capture has {own[0]:,} and {own[1]:,}"
            yield contradict_counts(text, rounds.index[rounds.burst == one.burst])
            return


def _first_partial_burst(columns: Columns) -> int:
    """Return the number of the first burst that may lack a round; 0 where the file has a gap."""
    rounds, end = columns.rounds, columns.end
    if len(columns.damaged) or rounds.index[-1] != len(rounds) - 1:
        return 0
    last = int(rounds.burst.max())
    return last + 1 if end and end.rounds == len(rounds) else last


def _wrong_outcomes(columns: Columns) -> Iterator[Contradiction]:
    rounds, places, tokens = columns.rounds, columns.places, columns.rescored
    row = np.searchsorted(rounds.index, places.round)
    stood = np.bincount(row, weights=places.accepted, minlength=len(rounds))
    wrong = stood != rounds.accepted
    if wrong.any():
        text = "the accepted counts of some rounds differ from the drafted tokens marked accepted"
        yield contradict_counts(text, rounds.index[wrong])
    row, known = rows_of_rounds(columns, tokens.round)
    beyond = known & (tokens.slot >= np.append(rounds.emitted, 0)[row])
    if beyond.any():
        text = "the recheck holds tokens that their rounds did not emit"
        yield contradict_counts(text, np.unique(tokens.round[beyond]))


def _lawless_rounds_with_laws(columns: Columns) -> Iterator[Contradiction]:
    """Look for rounds of which no law can be made, and which hold probabilities all the same."""
    rounds, places = columns.rounds, columns.places
    marked = rounds.index[rounds.no_law > 0]
    if not len(marked):
        return
    with_laws = np.union1d(
        places.round[~np.isnan(places.overlap)], rounds.index[~np.isnan(rounds.final_target_prob)]
    )
    odd = np.intersect1d(marked, with_laws)
    if len(odd):
        text = "rounds of which no law can be made hold probabilities"
        yield contradict_counts(text, odd)


def _wrong_recheck_counts(columns: Columns) -> Iterator[Contradiction]:
    """Look for a recheck that counts more rows of a kind than it compared."""
    more = any(each.equal > each.compared for _, each in columns.shifted)
    more |= any(
        max(each.processed, each.misread, each.curved) > each.compared
        for _, each in columns.processed
    )
    if more:
        yield contradict_counts("a recheck counts more rows of a kind than it compared")


def rows_of_rounds(columns: Columns, rounds: Ints) -> tuple[Ints, Bools]:
    """Return the row of each of these round indices, [n], and whether that round was recorded."""
    index = columns.rounds.index
    row = np.asarray(np.searchsorted(index, rounds), np.int64)
    return row, np.asarray(np.append(index, -1)[row] == rounds)


def _has_repeats(*columns: Ints) -> bool:
    """Whether two rows of these columns, [n] each, are equal."""
    if len(columns[0]) < 2:  # noqa: PLR2004 - a pair
        return False
    order = np.lexsort(columns)
    same = [np.diff(column[order]) == 0 for column in columns]
    return bool(np.logical_and.reduce(same).any())
