"""Finds how a cache came to hold a wrong number of tokens, and which known cases do that.

Knows lengths and outcomes of rounds. The rule decides whether a length is wrong, and words it.
"""

import numpy as np

from specprof import limits
from specprof.analysis import outcomes
from specprof.analysis.evidence import Evidence
from specprof.analysis.outcomes import code_outcomes
from specprof.analysis.tables import Bools, Floats
from specprof.findings import Model

REJECTION, ALL_ACCEPTED = "after every rejection", "after every all-accepted round"
AFTERWARDS = "in the round after every all-accepted round"
IDLE = "after every round that drafted nothing"
MIN_WRONG_STARTS = 0.5
"""Above this share of later bursts that begin with a wrong length, the last burst left it."""
MAX_EXCEPTIONS = 0.1
"""The share of rounds that may depart from a pattern."""
STALE_COUNT = "kv/async-stale-accept-count"
MIN_UNFED_TOKENS = 64
"""A cache this many tokens short when a burst begins was never fed part of the prompt."""


class Shortfall:
    """A cache's shortfall over the rounds: after which outcome it comes, and from where on."""

    def __init__(self, evidence: Evidence, role: Model, short: Floats, due: Floats) -> None:
        self.evidence, self.role, self.short, self.due = evidence, role, short, due
        rejected, goes_on = evidence.rejected, ~evidence.closes_burst
        following = evidence.next_row[goes_on]
        self.grown = short.copy()
        self.grown[following] -= short[goes_on]
        self.grown[evidence.gap_before] = np.nan
        """What each round added to the shortfall; for a burst's first round, all of it."""
        self.begins = ~evidence.gap_before
        self.begins[following] = False
        accepted = code_outcomes(evidence.rounds, rejected) == outcomes.ALL_ACCEPTED
        after, idle = evidence.after == outcomes.ALL_ACCEPTED, evidence.rounds.drafted == 0
        self.sides = {REJECTION: rejected, ALL_ACCEPTED: accepted, AFTERWARDS: after, IDLE: idle}
        self.steady = {when: _constant(short[side]) for when, side in self.sides.items()}
        self.growing = {when: _median(self.grown[side]) for when, side in self.sides.items()}

    @property
    def at_start(self) -> Floats:
        """The shortfall after each burst's first round, [bursts]; empty where it changes later."""
        later = self.grown[~self.begins]
        moves = np.nan_to_num(later) != 0
        steady = not len(later) or float(moves.mean()) <= MAX_EXCEPTIONS
        known = self.short[self.begins & ~np.isnan(self.short)]
        return known if steady else np.zeros(0)

    def suspects(self, wrong: Bools) -> tuple[str, ...]:
        """Return the cases that leave these lengths, the likeliest first."""
        first, start = int(wrong.argmax()), self.at_start
        left = self.due[first] - self.short[first]
        if left <= self.evidence.rounds.emitted[first] and self.due[first] > 4 * left:
            return ("kv/reset-instead-of-rollback",)
        if len(off := start[start != 0]) and float(off.min()) >= MIN_UNFED_TOKENS:
            return ("kv/draft-not-primed-by-chunked-prefill",)
        if len(start) > 1 and not start[0] and float(np.mean(start[1:] != 0)) > MIN_WRONG_STARTS:
            return ("kv/draft-cache-leaks-across-requests",)
        too_short, too_long = (self.short[wrong] > 0).mean(), (self.short[wrong] < 0).mean()
        if min(float(too_short), float(too_long)) > MAX_EXCEPTIONS:
            # Now too short, now too long: the rollback used another round's count.
            return ("kv/graph-replay-stale-length" if self.role == "draft" else STALE_COUNT,)
        long = float(np.nanmedian(self.short[wrong])) < 0
        if self.role == "target":
            return self._of_the_target(wrong, long=long)
        return self._of_the_draft(long=long)

    def _of_the_target(self, wrong: Bools, *, long: bool) -> tuple[str, ...]:
        settings, reach = self.evidence.settings, self.evidence.rounds.context[wrong].min()
        if settings.cache == "sink-window" and reach + settings.depth >= settings.window:
            return "kv/ring-cache-wrap-no-rollback", "kv/target-rejected-kept"
        return ("kv/target-rejected-kept",) if long else (STALE_COUNT,)

    def _of_the_draft(self, *, long: bool) -> tuple[str, ...]:
        settings = self.evidence.settings
        if long and limits.feeds_anew(settings):
            kept = float(np.nanmax(-self.short - self.evidence.rounds.emitted))
            own, zombies = "kv/eagle-own-features-kept", "kv/eagle-zombie-tree-nodes"
            return (own, zombies) if kept <= 0 else (zombies, "kv/draft-rollback-under-trim")
        if long:
            return ("kv/draft-rollback-under-trim",)
        missing = self.steady[ALL_ACCEPTED] and not self.steady[REJECTION]
        if missing or self._grows(ALL_ACCEPTED) or self._grows(AFTERWARDS):
            return ("kv/draft-last-proposal-missing",)
        return ("kv/draft-rollback-over-trim",)

    def _grows(self, when: str) -> bool:
        """Return whether the shortfall grows in these rounds and in hardly any other round."""
        moved = np.nan_to_num(self.grown) > 0
        return bool(moved.any()) and float(self.sides[when][moved].mean()) >= 1 - MAX_EXCEPTIONS


def _constant(short: Floats) -> float | None:
    """Return the shortfall that all of these rounds have; None where it varies."""
    known = short[~np.isnan(short)]
    alike = len(known) > 0 and bool((known == known[0]).all())
    return float(known[0]) if alike else None


def _median(grown: Floats) -> float:
    known = grown[~np.isnan(grown)]
    return float(np.median(known)) if len(known) else 0.0
