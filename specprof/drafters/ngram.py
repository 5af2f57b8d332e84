"""Drafts what followed the last time: the text so far is searched for its own ending.

Prompt lookup needs no model and no cache. A drafted token's law is certainty, so the acceptance it
owes is the target's probability of that token (theory 2.3).
"""

from collections import defaultdict
from typing import ClassVar

from specprof.engine.drafting import empty_proposal
from specprof.engine.transfer import on_device
from specprof.extend import Drafter, Parts, Proposal


class Ngram(Drafter):
    """Copies what followed the most recent occurrence of the longest ending that occurred before.

    Endings of up to `Settings.ngram` tokens are tried, the longest first. If not even the last
    token occurred before, nothing is drafted. A copy that reaches the end of the text goes on with
    the tokens it has drafted (the self-overlapping copy of Ziv and Lempel, 1977), so a text in a
    loop is drafted to the full depth.
    """

    distribution: ClassVar[bool] = False

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.longest = parts.settings.ngram
        self.text: list[int] = []
        self.places: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        """Sequence of tokens -> the places in the text right after its occurrences, ascending."""

    def propose(self, committed: list[int], depth: int) -> Proposal:
        """Return a chain of `depth` tokens, or of none if the ending never occurred before."""
        self._read(committed)
        device = self.parts.target.device
        place = self._find_precedent()
        if place is None or depth == 0:
            return empty_proposal(device)
        drafted: list[int] = []
        while len(drafted) < depth:
            source, here = (self.text, place) if place < len(self.text) else (drafted, 0)
            copied = source[here : here + depth - len(drafted)]
            drafted += copied
            place += len(copied)
        return Proposal(tokens=on_device(drafted, device), logits=None, draft_probs=None)

    def prefill(self, committed: list[int]) -> None:
        """Read known text."""
        self._read(committed)

    def rollback(self, committed: int) -> None:
        """Forget the text beyond the first `committed` tokens, and every place in it."""
        for place in range(len(self.text) - 1, committed - 1, -1):
            for key in self._endings(place):
                self.places[key].pop()
                if not self.places[key]:
                    del self.places[key]
        del self.text[committed:]

    def _read(self, committed: list[int]) -> None:
        """Read the newly committed tokens; the work grows with their number alone."""
        start = len(self.text)
        self.text += committed[start:]
        for place in range(start, len(self.text)):
            for key in self._endings(place):
                self.places[key].append(place)

    def _find_precedent(self) -> int | None:
        """Return the place after the most recent earlier occurrence of the longest known ending."""
        for key in reversed(self._endings(len(self.text))):
            if places := self.places.get(key):
                return places[-1]
        return None

    def _endings(self, place: int) -> list[tuple[int, ...]]:
        """Return the sequences that end just before `place`, the shortest first."""
        return [
            tuple(self.text[place - count : place])
            for count in range(1, min(self.longest, place) + 1)
        ]
