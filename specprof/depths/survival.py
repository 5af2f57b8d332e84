"""Drafts as long as the next token is likely enough to be kept to be worth its time.

The marginal rule (theory 5.4 and 8; the form of SpecDec++, arXiv 2405.19715): one more draft adds
as many tokens as it is likely to be accepted, all those before it included, and takes a draft step
and its share of the verification. It pays where

    chance that all drafts so far and this one stand  >=  best rate * (draft step + verify growth).

The best rate in tokens per nanosecond is the fixed point of the rule: where the rule is played by
the rate it achieves, that rate rises until it is the best one (Dinkelbach's iteration for a ratio).

Everything is measured while it runs, over about the last hundred rounds. Where nothing has been
measured yet, drafting is free and a deeper index is as good as the one before it, so that a run
begins with its deepest drafts; and what has not been tried for long is forgotten, and so tried
again. Since times decide, two runs of one seed may draft differently. Each choice is made before
the round's verification and drops no token that was drawn: the target's law is kept.
"""

from bisect import bisect

from specprof.extend import Depth
from specprof.records import Round
from specprof.settings import Settings

FADE = 0.99
"""What a round's evidence weighs a round later: a memory of about a hundred rounds."""
PRIOR = 2.0
"""Rounds' worth of belief that an index is like the one before it, or a confidence like any."""
CONFIDENCES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
"""Edges of the classes of confidence."""
HICCUP = 3.0
"""A round counts as at most this many times as long as usual: it was interrupted."""


class Survival(Depth):
    """Drafts up to `Settings.depth`, or until the next token doesn't pay."""

    watches = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.chances = Chances(self.bound)
        self.costs = Costs()
        self.asked = self.bound
        self.seen: list[float] = []
        """The round's confidences; none from a drafter without a law."""
        self.blind = False
        """Whether the last drafts came without confidences: then `ask` must say where to stop."""

    def ask(self) -> int:
        """Return the most there may be: 0 where not even the first draft pays."""
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
        """Whether the token after those drawn is likely enough to be kept."""
        self.seen = list(confidences)
        drawn = len(confidences)
        if drawn >= self.bound:
            return False
        survival = self.chances.by_index[drawn]
        for index, confidence in enumerate(confidences):
            survival *= self.chances.given(index, confidence)
        return survival >= self.costs.least_chance()

    def learn(self, drafted: int, accepted: int) -> None:
        """Take in which drafts stood; of a tree, which levels."""
        levels = len(self.seen) or min(self.asked, drafted)
        self.chances.learn(levels, accepted, self.seen)
        if drafted:
            self.blind = not self.seen
        self.seen = []

    def timed(self, played: Round) -> None:
        """Take in what the round and its draft steps took."""
        self.costs.learn(played)


class Chances:
    """How likely a draft is to stand, those before it standing: by its index and its confidence.

    Before a draft is drawn its index alone tells: c_i, accepted/reached. Once its confidence is
    known its chance is the product of two factors, one of its index and one of its class of
    confidence, each the ratio of what stood to what the other factors promised (the fit of a table
    by its margins, a round at a time): reached drafts of high index follow confident ones, and that
    must not count twice.
    """

    def __init__(self, bound: int) -> None:
        classes = len(CONFIDENCES) + 1
        self.reached = [0.0] * bound
        self.accepted = [0.0] * bound
        self.promised_to_index = [0.0] * bound
        self.promised_to_class = [0.0] * classes
        self.kept = [0.0] * classes
        self.by_index = [1.0] * bound
        """c_i, leaning towards the one before it; certain before all evidence."""
        self.factor = [1.0] * bound
        """Likewise, of drafts whose confidence is known."""

    def given(self, index: int, confidence: float) -> float:
        """Return the chance of a draft whose confidence is known."""
        return min(1.0, self.factor[index] * self._of_class(bisect(CONFIDENCES, confidence)))

    def learn(self, levels: int, accepted: int, confidences: list[float]) -> None:
        """Take in a round of so many levels, its confidences where they are known."""
        for sums in (
            self.reached,
            self.accepted,
            self.promised_to_index,
            self.promised_to_class,
            self.kept,
        ):
            sums[:] = [FADE * each for each in sums]
        for index in range(min(levels, accepted + 1)):
            stood = float(index < accepted)
            self.reached[index] += 1
            self.accepted[index] += stood
            if confidences:
                kind = bisect(CONFIDENCES, confidences[index])
                self.promised_to_index[index] += self._of_class(kind)
                self.promised_to_class[kind] += self.factor[index]
                self.kept[kind] += stood
        self.by_index = _leaning(self.accepted, self.reached)
        if confidences:
            self.factor = _leaning(self.accepted, self.promised_to_index)

    def _of_class(self, kind: int) -> float:
        return (self.kept[kind] + PRIOR) / (self.promised_to_class[kind] + PRIOR)


def _leaning(happened: list[float], promised: list[float]) -> list[float]:
    """Return the ratio of each index, as if that of the one before had been seen PRIOR times."""
    before, found = 1.0, []
    for each, of in zip(happened, promised, strict=True):
        before = (each + PRIOR * before) / (of + PRIOR)
        found.append(before)
    return found


class Costs:
    """What a round yields and takes, and what one more level adds to it.

    A level adds a draft step, timed by itself, and the growth of all the rest (verification above
    all), which is the slope of the rest's time over the levels of past rounds.
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
        """Return by how many nanoseconds the rest of a round grows a level; 0 if none is seen."""
        if not self.rounds:
            return 0.0
        spread = self.squares - self.levels**2 / self.rounds
        together = self.products - self.levels * self.rest / self.rounds
        return max(0.0, together / (spread + 1))  # one more, for without spread there is no slope

    def learn(self, played: Round) -> None:
        """Take in a round."""
        steps = [span.ns for span in played.spans if span.name == "step"]
        levels = len(steps) or min(played.depth_asked, len(played.drafted))
        rest = float(played.wall_ns - sum(steps))
        if self.rounds:
            rest = min(rest, HICCUP * self.rest / self.rounds)
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
        setattr(self, name, FADE * getattr(self, name) + value)
