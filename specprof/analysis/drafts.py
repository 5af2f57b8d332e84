"""The drafted tokens of many rounds, end to end, and each token's place in its round's tree.

A drafted token's level is the number of drafted tokens it follows from. In a chain that is its
place in the list, in a tree it is not.
"""

from collections.abc import Sequence
from itertools import chain, compress

import numpy as np

from specprof.analysis.tables import Bools, Ints
from specprof.records import Drafted, Round


def levels(drafted: Sequence[Drafted]) -> list[int]:
    """Return how many drafted tokens each drafted token follows from; parents come first."""
    found = list[int]()
    for place, each in enumerate(drafted):
        found.append(found[each.parent] + 1 if 0 <= each.parent < place else 0)
    return found


class Drafts:
    """The drafted tokens of rounds, in order: arrays of one length, or [rounds] where marked.

    A round's tokens keep the order of its list. A token's place in that list is its node.
    """

    def __init__(self, rounds: Sequence[Round]) -> None:
        lists = [one.drafted for one in rounds]
        self._tokens = list(chain.from_iterable(lists))
        n = len(self._tokens)
        self.counts: Ints = np.fromiter(map(len, lists), np.int64, len(lists))
        """[rounds]"""
        self.row: Ints = np.repeat(np.arange(len(lists)), self.counts)
        """The row of the token's round."""
        self.node: Ints = np.arange(n) - np.repeat(self.counts.cumsum() - self.counts, self.counts)
        self.reached: Bools = np.fromiter([each.reached for each in self._tokens], np.bool_, n)
        self.level, self.elder = self.node, np.zeros(n, np.int64)
        self._order: Ints | None = None
        parent = np.fromiter([each.parent for each in self._tokens], np.int64, n)
        self.chains = bool((parent == self.node - 1).all())
        if not self.chains:
            self._branch(lists)

    def _branch(self, lists: Sequence[Sequence[Drafted]]) -> None:
        level = [level for each in lists for level in levels(each)]
        elder = [elder for each in lists for elder in elders(each)]
        self.level, self.elder = np.array(level, np.int64), np.array(elder, np.int64)

    @property
    def levels(self) -> Ints:
        """How many levels each round's drafted tokens have, [rounds]."""
        if self.chains:
            return self.counts
        deepest = np.zeros(len(self.counts), np.int64)
        np.maximum.at(deepest, self.row, self.level + 1)
        return deepest

    @property
    def reached_counts(self) -> Ints:
        """How many drafted tokens each round reached, [rounds]."""
        return np.bincount(self.row[self.reached], minlength=len(self.counts))

    @property
    def reached_levels(self) -> Ints:
        """At how many levels each round reached a drafted token, [rounds]."""
        if self.chains:
            return self.reached_counts
        most = int(self.level.max(initial=0)) + 1
        seen = np.unique(self.row[self.reached] * most + self.level[self.reached])
        return np.bincount(seen // most, minlength=len(self.counts))

    def places(self) -> Ints:
        """Return the reached tokens' places: by round, in a tree level by level, then by node."""
        places = np.flatnonzero(self.reached)
        if not self.elder.any():
            return places
        branched = np.bincount(self.row, weights=self.elder, minlength=len(self.counts)) > 0
        row, level = self.row[places], self.level[places]
        return places[np.lexsort((np.where(branched[row], level, 0), row))]

    def reached_tokens(self, places: Ints) -> list[Drafted]:
        """Return the tokens at these places, which must be all reached tokens."""
        if not self.elder.any():
            return list(compress(self._tokens, self.reached.tolist()))
        return [self._tokens[place] for place in places.tolist()]


def elders(drafted: Sequence[Drafted]) -> list[int]:
    """Return how many siblings were drafted before each token."""
    family, found = dict[int, int](), list[int]()
    for each in drafted:
        found.append(family.get(each.parent, 0))
        family[each.parent] = found[-1] + 1
    return found
