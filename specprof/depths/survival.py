"""Drafts until the next token is too unlikely to be kept to be worth its time.

The marginal rule (theory 5.4 and 8; the form of SpecDec++, arXiv 2405.19715): in the mean, one more
draft adds as many tokens as the chance that it and all drafts before it are accepted. It takes a
draft step and its share of the verification. It pays where

    chance that all drafts so far and this one stand  >=  best rate * (draft step + verify growth).

The best rate in tokens per nanosecond is the fixed point of the rule. If the rule uses the rate
that it achieves, that rate rises until it is the best (Dinkelbach's iteration for a ratio).

Everything is measured while it runs, over about the last hundred rounds. Before anything is
measured, drafting counts as free, and a deeper index as good as the one before it: a run begins
with its deepest drafts. A depth that has not been tried for long is forgotten, and so tried again.
Since times decide, two runs of one seed may draft differently. Each choice is made before the
round's verification and drops no token that was drawn: the target's law is kept.
"""

from bisect import bisect

from specprof.extend import Depth
from specprof.records import Round
from specprof.settings import Settings

FADE_PER_ROUND = 0.99
"""The weight of a round's evidence one round later: a memory of about a hundred rounds."""
PRIOR_ROUNDS = 2.0
"""The weight of the prior: an index is like the one before it, a confidence class like any."""
CONFIDENCE_EDGES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
"""They divide confidences into classes."""
MAX_ROUND_LENGTH = 3.0
"""A round counts as at most this many times its usual length: a longer one was interrupted."""


class Survival(Depth):
    """Drafts up to `Settings.depth`, or until the next token doesn't pay."""

    watches = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.chances = Chances(self.bound)
        self.costs = Costs()
        self.asked = self.bound
        self.seen: list[float] = []
        """The round's confidences; empty for a drafter without a law."""
        self.blind = False
        """Whether the last drafts came without confidences: then `ask` decides where to stop."""

    def ask(self) -> int:
        """Return the most tokens to draft: 0 if not even the first draft pays."""
        least, survival = self.costs.least_chance(), 1.0
        self.asked = 0
        for chance in self.chances.by_index:
            survival *= chance
            if survival < least:
                break
            self.asked += 1
            if not self.blind:
                self.asked = self.bound
                break
        return self.asked

    def go_on(self, confidences: list[float]) -> bool:
        """Return whether the token after those drawn is likely enough to be kept."""
        self.seen = list(confidences)
        drawn = len(confidences)
        if drawn >= self.bound:
            return False
        survival = self.chances.by_index[drawn]
        for index, confidence in enumerate(confidences):
            survival *= self.chances.of_confidence(index, confidence)
        return survival >= self.costs.least_chance()

    def learn(self, drafted: int, accepted: int) -> None:
        """Learn which drafts stood; in a tree, which levels."""
        levels = len(self.seen) or min(self.asked, drafted)
        self.chances.learn(levels, accepted, self.seen)
        if drafted:
            self.blind = not self.seen
        self.seen = []

    def timed(self, played: Round) -> None:
        """Learn how long the round and its draft steps took."""
        self.costs.learn(played)


class Chances:
    """The chance that a draft stands if those before it do, by its index and its confidence.

    Before a draft is drawn, only its index is known; its chance is c_i, accepted/reached. Once its
    confidence is known, its chance is the product of two factors, one of its index and one of its
    confidence class. Each factor is the number of drafts that stood, divided by the number that the
    other factor predicted (a table is fitted by its margins, a round at a time). Reached drafts of
    high index follow confident ones; the two factors keep that from counting twice.
    """

    def __init__(self, bound: int) -> None:
        classes = len(CONFIDENCE_EDGES) + 1
        self.reached = [0.0] * bound
        self.accepted = [0.0] * bound
        self.promised_to_index = [0.0] * bound
        self.promised_to_class = [0.0] * classes
        self.kept = [0.0] * classes
        self.by_index = [1.0] * bound
        """c_i, drawn towards the one before it; 1 before any evidence."""
        self.factor = [1.0] * bound
        """The index's factor for drafts whose confidence is known, drawn towards the one before."""

    def of_confidence(self, index: int, confidence: float) -> float:
        """Return the chance of a draft whose confidence is known."""
        return min(1.0, self.factor[index] * self._of_class(bisect(CONFIDENCE_EDGES, confidence)))

    def learn(self, levels: int, accepted: int, confidences: list[float]) -> None:
        """Learn from a round of so many levels, and its confidences if they are known."""
        for sums in (
            self.reached,
            self.accepted,
            self.promised_to_index,
            self.promised_to_class,
            self.kept,
        ):
            sums[:] = [FADE_PER_ROUND * each for each in sums]
        for index in range(min(levels, accepted + 1)):
            stood = float(index < accepted)
            self.reached[index] += 1
            self.accepted[index] += stood
            if confidences:
                kind = bisect(CONFIDENCE_EDGES, confidences[index])
                self.promised_to_index[index] += self._of_class(kind)
                self.promised_to_class[kind] += self.factor[index]
                self.kept[kind] += stood
        self.by_index = _smoothed_ratios(self.accepted, self.reached)
        if confidences:
            self.factor = _smoothed_ratios(self.accepted, self.promised_to_index)

    def _of_class(self, kind: int) -> float:
        return (self.kept[kind] + PRIOR_ROUNDS) / (self.promised_to_class[kind] + PRIOR_ROUNDS)


def _smoothed_ratios(happened: list[float], promised: list[float]) -> list[float]:
    """Return each index's ratio, as if PRIOR_ROUNDS rounds had shown the ratio before it."""
    before, found = 1.0, []
    for each, of in zip(happened, promised, strict=True):
        before = (each + PRIOR_ROUNDS * before) / (of + PRIOR_ROUNDS)
        found.append(before)
    return found


class Costs:
    """The tokens and the time of a round, and the time that one more level adds.

    A level adds a draft step, which is timed by itself, and makes the rest of the round longer,
    mostly its verification. That growth is the slope of the rest's time over past rounds' levels.
    """

    def __init__(self) -> None:
        self.tokens = self.wall = 0.0
        self.steps = self.steps_ns = 0.0
        self.rounds = self.levels = self.rest = self.squares = self.products = 0.0

    def least_chance(self) -> float:
        """Return the survival at which one more level just pays; 0 before anything was timed."""
        if not self.wall:
            return 0.0
        step = self.steps_ns / self.steps if self.steps else 0.0
        return self.tokens / self.wall * (step + self.growth())

    def growth(self) -> float:
        """Return the nanoseconds that a level adds to the rest of a round; 0 if it adds none."""
        if not self.rounds:
            return 0.0
        spread = self.squares - self.levels**2 / self.rounds
        together = self.products - self.levels * self.rest / self.rounds
        return max(0.0, together / (spread + 1))  # + 1: without spread there is no slope

    def learn(self, played: Round) -> None:
        """Learn from a round's tokens and times."""
        steps = [span.ns for span in played.spans if span.name == "step"]
        levels = len(steps) or min(played.depth_asked, len(played.drafted))
        rest = float(played.wall_ns - sum(steps))
        if self.rounds:
            rest = min(rest, MAX_ROUND_LENGTH * self.rest / self.rounds)
        self._add("steps", len(steps))
        self._add("steps_ns", sum(steps))
        self._add("tokens", played.accepted + 1)
        self._add("wall", sum(steps) + rest)
        self._add("rounds", 1)
        self._add("levels", levels)
        self._add("rest", rest)
        self._add("squares", levels**2)
        self._add("products", levels * rest)

    def _add(self, name: str, value: float) -> None:
        setattr(self, name, FADE_PER_ROUND * getattr(self, name) + value)
