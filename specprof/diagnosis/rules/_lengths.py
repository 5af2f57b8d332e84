"""How a cache comes to hold another number of tokens than it should, and which cases do that.

Knows lengths and outcomes of rounds. Whether a length is wrong, and the wording, are decided by the
rule.
"""

import numpy as np

from specprof import limits
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats

REJECTION, ALL_ACCEPTED = "after every rejection", "after every all-accepted round"
AFTERWARDS = "with the round after every all-accepted one"
HALF = 0.5
"""More than this share of the bursts begins with a wrong length."""
SELDOM = 0.1
"""At most this share of later rounds changes what a burst began with."""
STRANGE = "kv/async-stale-accept-count"
CHUNK_LEFT = 64
"""A cache this much short as a burst begins was never fed part of the prompt."""


class Shortfall:
    """How a cache's shortfall comes about: with which outcome of a round, from where on."""

    def __init__(self, evidence: Evidence, role: str, short: Floats, due: Floats) -> None:
        self.evidence, self.role, self.short, self.due = evidence, role, short, due
        rejected, goes_on = evidence.rejected, ~evidence.closes_burst
        following = evidence.next_row[goes_on]
        self.grown = short.copy()
        self.grown[following] -= short[goes_on]
        self.grown[evidence.gap_before] = np.nan
        """What each round added to the shortfall; a burst's first round all there is."""
        self.begins = ~evidence.gap_before
        self.begins[following] = False
        after = evidence.after == 2  # noqa: PLR2004 - its code
        self.sides = {REJECTION: rejected, ALL_ACCEPTED: ~rejected, AFTERWARDS: after}
        self.steady = {when: _steady(short[side]) for when, side in self.sides.items()}
        self.growing = {when: _typical(self.grown[side]) for when, side in self.sides.items()}

    @property
    def at_start(self) -> Floats:
        """The shortfall after each burst's first round, where it stays as it is; [bursts]."""
        later = self.grown[~self.begins]
        moves = np.nan_to_num(later) != 0
        steady = not len(later) or float(moves.mean()) <= SELDOM
        known = self.short[self.begins & ~np.isnan(self.short)]
        return known if steady else np.zeros(0)

    def suspects(self, wrong: Bools) -> tuple[str, ...]:
        """Return the cases that leave these lengths, the likeliest first."""
        first, start = int(wrong.argmax()), self.at_start
        left = self.due[first] - self.short[first]
        if left <= self.evidence.rounds.emitted[first] and self.due[first] > 4 * left:
            return ("kv/reset-instead-of-rollback",)
        if len(off := start[start != 0]) and float(off.min()) >= CHUNK_LEFT:
            return ("kv/draft-not-primed-by-chunked-prefill",)
        if len(start) > 1 and not start[0] and float(np.mean(start[1:] != 0)) > HALF:
            return ("kv/draft-cache-leaks-across-requests",)
        if (
            min(float((self.short[wrong] > 0).mean()), float((self.short[wrong] < 0).mean()))
            > SELDOM
        ):
            # Too short and too long by turns: rolled back by a count that is not this round's.
            return ("kv/graph-replay-stale-length" if self.role == "draft" else STRANGE,)
        long = float(np.nanmedian(self.short[wrong])) < 0
        if self.role == "target":
            return self._of_the_target(wrong, long=long)
        return self._of_the_draft(long=long)

    def _of_the_target(self, wrong: Bools, *, long: bool) -> tuple[str, ...]:
        settings, reach = self.evidence.settings, self.evidence.rounds.context[wrong].min()
        if settings.cache == "sink-window" and reach + settings.depth >= settings.window:
            return "kv/ring-cache-wrap-no-rollback", "kv/target-rejected-kept"
        return ("kv/target-rejected-kept",) if long else (STRANGE,)

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
        """Whether the shortfall grows in these rounds and in hardly any other."""
        moved = np.nan_to_num(self.grown) > 0
        return bool(moved.any()) and float(self.sides[when][moved].mean()) >= 1 - SELDOM


def _steady(short: Floats) -> float | None:
    """Return how short the cache is after all of these rounds; None where it varies."""
    known = short[~np.isnan(short)]
    alike = len(known) > 0 and bool((known == known[0]).all())
    return float(known[0]) if alike else None


def _typical(grown: Floats) -> float:
    known = grown[~np.isnan(grown)]
    return float(np.median(known)) if len(known) else 0.0
