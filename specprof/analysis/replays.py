"""Rounds that are undone and verified again: the replay of a checkpoint.

A cache that can't be cut forgets rejected drafts in another way. The round that rejected one is
undone and commits nothing. The next round verifies its accepted drafts again, and commits them with
the correction. That takes a second forward of the target, and leaves the text as it should be.

What the next round verifies again was decided before: it is no second evidence of a fair decision.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis.tables import Bools, Emitted, Ints, Places, Rounds


@dataclass(frozen=True, slots=True)
class Replays:
    """Which rounds were undone, and what was decided before them; each [rounds]."""

    undone: Bools
    """Whether the round commits nothing, and the next one verifies its accepted drafts again."""
    settled: Ints
    """How many first slots of a round the undone round before it had decided; 0 if none was.

    The last of them is the correction.
    """
    unsaid: Bools
    """Whether an undone round was recorded as if it had accepted nothing."""

    def decided_once(self, places: Places, row: Ints) -> Bools:
        """Return which places, of the rounds in these rows, were decided there, [places]."""
        return np.asarray((places.index >= self.settled[row]) & ~self.unsaid[row])


def find_replays(rounds: Rounds, places: Places, emitted: Emitted, next_row: Ints) -> Replays:
    """Find the rounds of chains that were undone and verified again.

    `places` are the reached drafts. `next_row`, [rounds], is the row of the round that follows in
    the burst; -1: none is known.
    """
    undone, unsaid = (np.zeros(len(rounds), np.bool_) for _ in range(2))
    settled = np.zeros(len(rounds), np.int64)
    if (rounds.drafted > rounds.levels).any():  # a tree's replay would be another tree
        return Replays(undone, settled, unsaid)
    texts = _Texts(rounds, places, emitted)
    for row in np.flatnonzero((rounds.emitted == 0) & (next_row >= 0)).tolist():
        again = int(next_row[row])
        if rounds.context[again] != rounds.context[row]:
            continue
        count = texts.count_repeated(row, again)
        if count is None:
            continue
        undone[row], unsaid[row] = True, count > rounds.accepted[row]
        settled[again] = count + 1
    return Replays(undone, settled, unsaid)


class _Texts:
    """The reached drafts and the committed tokens of each round, by row."""

    def __init__(self, rounds: Rounds, places: Places, emitted: Emitted) -> None:
        self._rounds, self._tokens, self._emitted = rounds, places.token, emitted.token
        self._drafts_from = np.searchsorted(places.round, rounds.index)
        self._emitted_from = rounds.emitted.cumsum() - rounds.emitted

    def count_repeated(self, row: int, again: int) -> int | None:
        """Return how many drafts of a round stood and are repeated by the one after it.

        None if that round is no replay: it repeats fewer than stood, rejects one of them, or
        commits the draft that had been rejected.
        """
        first, second = self._drafts(row), self._drafts(again)
        stood, stands = int(self._rounds.accepted[row]), int(self._rounds.accepted[again])
        if not stood and not stands:
            # Nothing stood. So only the correction is left to commit, and drafts are no replay.
            bare = not self._rounds.drafted[again]
            return 0 if bare and self._rejects(first, 0, again) else None
        if not stood and (not first or first[:1] == second[:1]):
            return stands  # it was recorded as if none had stood, and the first one did
        if first[:stood] != second[:stood] or stands < stood:
            return None
        return stood if self._rejects(first, stood, again) else None

    def _rejects(self, drafts: list[int], place: int, again: int) -> bool:
        """Return whether the replay commits another token where a draft was rejected."""
        start = int(self._emitted_from[again]) + place
        came = self._emitted[start : int(self._emitted_from[again] + self._rounds.emitted[again])]
        return place >= len(drafts) or not len(came) or int(came[0]) != drafts[place]

    def _drafts(self, row: int) -> list[int]:
        start = int(self._drafts_from[row])
        found: list[int] = self._tokens[start : start + int(self._rounds.reached[row])].tolist()
        return found
