"""What in a capture can't all be true: rounds told twice, counts that disagree, impossible times.

Exact statements about the file, not about the engine: whatever an engine does, one recorder counts
each round once and its clock never runs backwards. Such a file was edited, glued together or
damaged. Knows columns; what rests on a contradiction is withheld by whoever is asked for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Bools, Ints

SLACK_NS = 10_000_000
"""An accelerator's clock and the host's may part by so much, and by `SLACK` of what is timed."""
SLACK = 0.8
"""Host and device overlap: the next round may begin before the device has ended this one."""
SYNTHETIC = "synthetic"
"""The backend whose rounds' times are made up, while its end line's are real."""
FIRST = 5
"""Rounds named of each."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two things a capture says that can't both be true."""

    of: Literal["counts", "times"]
    told: str
    rounds: tuple[int, ...] = ()
    """Indices of the first rounds that show it."""


def contradictions(columns: Columns) -> list[Contradiction]:
    """Return every contradiction found, those of counts first."""
    found = [*_order(columns), *_repeats(columns)]
    if not found:  # by here rounds have one place each, in order
        found = [*_ends(columns), *_bursts(columns), *_outcomes(columns)]
    return found or [*_times(columns)]


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
        yield _of_counts(told, again)
    else:
        late, before = index[back[0] + 1], index[back[0]]
        told = f"rounds are out of order: round {late:,} stands behind round {before:,}"
        yield _of_counts(told, index[back + 1])


def _repeats(columns: Columns) -> Iterator[Contradiction]:
    each = {
        "prefills": [one.burst for one in columns.prefills],
        "ends": [one.burst for one in columns.bursts],
        "plain steps": [one.burst for one in columns.plains],
    }
    for name, bursts in each.items():
        if _repeated(np.array(bursts, np.int64)):
            yield _of_counts(f"the {name} of a burst are told more than once")
    places, tokens = columns.rechecked, columns.rescored
    if _repeated(places.round, places.node) or _repeated(tokens.round, tokens.slot):
        yield _of_counts("the recheck of a place is told more than once")
    if (np.diff(columns.scored.context) <= 0).any():
        yield _of_counts("known text is scored more than once, or out of order")


def _ends(columns: Columns) -> Iterator[Contradiction]:
    end, rounds = columns.end, columns.rounds
    if end is None or not len(rounds):
        return
    last, emitted = int(rounds.index[-1]), int(rounds.emitted.sum())
    if end.rounds < len(rounds):
        told = f"its end line counts {end.rounds:,} rounds, and {len(rounds):,} stand before it"
        yield _of_counts(told)
    elif end.rounds <= last:
        told = f"its end line counts {end.rounds:,} rounds, and one is numbered {last:,}, from 0"
        yield _of_counts(told, rounds.index[-1:])
    elif end.emitted < emitted or (end.rounds == len(rounds) and end.emitted != emitted):
        told = f"its end line counts {end.emitted:,} tokens, and its rounds emit {emitted:,}"
        yield _of_counts(told)


def _bursts(columns: Columns) -> Iterator[Contradiction]:
    rounds = columns.rounds
    if not len(rounds) or not columns.bursts:
        return
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    played = np.bincount(of)
    said = np.array([(one.burst, one.rounds) for one in columns.bursts], np.int64)
    row = np.searchsorted(bursts, said[:, 0]).clip(max=len(bursts) - 1)
    wrong = (bursts[row] == said[:, 0]) & (said[:, 1] < played[row])
    if wrong.any():
        number, counted = said[wrong][0].tolist()
        told = f"the end of burst {number:,} counts {counted:,} rounds, and it has more"
        yield _of_counts(told, rounds.index[rounds.burst == number])


def _outcomes(columns: Columns) -> Iterator[Contradiction]:
    rounds, places, tokens = columns.rounds, columns.places, columns.rescored
    row = np.searchsorted(rounds.index, places.round)
    stood = np.bincount(row, weights=places.accepted, minlength=len(rounds))
    wrong = stood != rounds.accepted
    if wrong.any():
        told = "rounds count other than the drafted tokens they mark as accepted"
        yield _of_counts(told, rounds.index[wrong])
    row, known = matched(columns, tokens.round)
    beyond = known & (tokens.slot >= np.append(rounds.emitted, 0)[row])
    if beyond.any():
        told = "tokens are rechecked that their rounds did not emit"
        yield _of_counts(told, np.unique(tokens.round[beyond]))


def _times(columns: Columns) -> Iterator[Contradiction]:
    rounds, order, end = columns.rounds, columns.burst_order, columns.end
    burst, start = rounds.burst[order], rounds.start_ns[order]
    ends, took = rounds.end_ns[order], (rounds.end_ns - rounds.start_ns)[order]
    over = (burst[1:] == burst[:-1]) & (ends[:-1] - start[1:] > SLACK_NS + SLACK * took[:-1])
    if over.any():
        told = "rounds of one burst lie over one another in time"
        yield Contradiction("times", told, _first(np.sort(rounds.index[order][:-1][over])))
    header = columns.header
    made_up = header is not None and header.spec.settings.backend == SYNTHETIC
    latest_ns = int(ends.max(initial=0)) - SLACK_NS - int(took.max(initial=0))
    if end and not made_up and latest_ns > end.wall_ns:
        told = f"its end line counts {end.wall_ns / 1e9:,.1f} s, and rounds end later than that"
        yield Contradiction("times", told, _first(rounds.index[rounds.end_ns == ends.max()]))
    inside = -columns.gap_ns > SLACK_NS + SLACK * rounds.wall_ns
    if inside.any():
        yield Contradiction(
            "times", "the spans of rounds last longer than they", _first(rounds.index[inside])
        )
    short = _outlasted(columns)
    if len(short):
        told = f"the rounds of burst {short[0]:,} last longer than the burst"
        yield Contradiction("times", told, _first(rounds.index[rounds.burst == short[0]]))


def _outlasted(columns: Columns) -> Ints:
    """Return the bursts that took less time than their rounds together."""
    rounds = columns.rounds
    if not len(rounds) or not columns.bursts:
        return np.zeros(0, np.int64)
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    spent = np.bincount(of, weights=rounds.end_ns - rounds.start_ns)
    said = np.array([(one.burst, one.wall_ns) for one in columns.bursts], np.int64)
    row = np.searchsorted(bursts, said[:, 0]).clip(max=len(bursts) - 1)
    over = (bursts[row] == said[:, 0]) & (spent[row] > 1.1 * said[:, 1] + SLACK_NS)
    return np.asarray(said[over, 0], np.int64)


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


def _of_counts(told: str, rounds: Ints | None = None) -> Contradiction:
    return Contradiction("counts", told, () if rounds is None else _first(rounds))


def _first(rounds: Ints) -> tuple[int, ...]:
    return tuple(rounds[:FIRST].tolist())
