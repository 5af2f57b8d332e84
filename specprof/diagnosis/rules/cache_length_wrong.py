"""A cache holds another number of tokens after a round than was committed and fed.

Measures
    Length of the target's and the draft's cache, less what it should be, per round; how much that
    changes over rounds with a rejection and over all-accepted rounds.

Fires when
    After any round the target's cache differs from committed - 1, or the draft's from the lesser
    of committed - 1 and context + K - 1: committed - 2 after an all-accepted round (theory I11).
    A draft that feeds every round anew (a tree, a head on the target's features) must end at the
    context the round began with.

Why this is a bug and not a mismatch
    Lengths are counted, not estimated. A short cache makes a model predict from a text with holes
    in it, a long one from rejected tokens; either looks like a bad draft in the average.

Likely causes
    Short, growing with rejections: trimmed by rejected + 1 where rejected - 1 was due, because the
    draft was fed K tokens and the target K + 1. Short, growing with all-accepted rounds: the last
    draft is never fed. Long: the rollback did nothing; from a full window on, because the rows it
    needs are gone. Next to nothing left: it emptied the cache. Wrong as a burst begins: the one
    before it left something behind, or only the last chunk of the prompt was fed.

Confirm
    Start anew on the same prefix: a wrong cache heals there, a mismatch does not.

Does not see
    The right number of wrong entries: that is draft-state-drifts, target-state-drifts. What a
    cache that evicts still holds: its length counts the evicted tokens as well. The draft's side,
    where its drafter is a plugin that isn't installed here: how it feeds its cache isn't known.

Try it
    specprof drill draft-cache-short
"""

from typing import ClassVar

import numpy as np

from specprof import limits
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Where

REJECTION, ALL_ACCEPTED = "after every rejection", "after every all-accepted round"
AFTERWARDS = "with the round after every all-accepted one"
HALF = 0.5
"""More than this share of the bursts begins with a wrong length."""
SELDOM = 0.1
"""At most this share of later rounds changes what a burst began with."""
CHUNK_LEFT = 64
"""A cache this much short as a burst begins was never fed part of the prompt."""


class CacheLengthWrong(Rule):
    """Exact: one wrong length is enough."""

    family: ClassVar[Family] = "bug"
    row: ClassVar[float] = 2
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare both caches' lengths with what was committed and fed."""
        due = _due(evidence)
        lengths = {"target": evidence.rounds.target_length, "draft": evidence.rounds.draft_length}
        short = {role: due[role] - lengths[role] for role in due}
        known = {role: ~np.isnan(each) for role, each in short.items()}
        if not any(each.any() for each in known.values()):
            title = "no cache lengths were recorded"
            raise MissingEvidence(title, "record with --detail rounds or evidence")
        for role, each in short.items():
            wrong = known[role] & (each != 0)
            if wrong.any():
                fault = _Fault(evidence, role, each, due[role])
                return Found(finding=_finding(fault, wrong))
        checked = ", ".join(f"{role}: {each.sum():,}" for role, each in known.items() if each.any())
        return Clear(detectable=f"one token in one round (rounds checked, {checked})")


def _due(evidence: Evidence) -> dict[str, Floats]:
    """Return how long each cache should be after every round, [rounds]; nan: not known."""
    rounds = evidence.rounds
    committed = rounds.context + rounds.emitted
    fed = np.minimum(rounds.context + rounds.drafted, committed) - 1
    anew = limits.feeds_anew(evidence.settings)
    told = (rounds.drafted > 0) & (anew is not None)
    draft = np.where(told, rounds.context if anew else fed, np.nan)
    return {"target": (committed - 1).astype(np.float64), "draft": draft}


class _Fault:
    """How a cache's shortfall comes about: with which outcome of a round, from where on."""

    def __init__(self, evidence: Evidence, role: str, short: Floats, due: Floats) -> None:
        self.evidence, self.role, self.short, self.due = evidence, role, short, due
        rejected, goes_on = evidence.rejected, ~evidence.closes_burst
        following = evidence.next_row[goes_on]
        self.grown = short.copy()
        self.grown[following] -= short[goes_on]
        """What each round added to the shortfall; a burst's first round all there is."""
        self.begins = np.ones(len(short), np.bool_)
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
        long = float(np.nanmedian(self.short[wrong])) < 0
        if self.role == "target":
            return self._of_the_target(wrong, long=long)
        return self._of_the_draft(long=long)

    def _of_the_target(self, wrong: Bools, *, long: bool) -> tuple[str, ...]:
        settings, reach = self.evidence.settings, self.evidence.rounds.context[wrong].min()
        if settings.cache == "sink-window" and reach + settings.depth >= settings.window:
            return "kv/ring-cache-wrap-no-rollback", "kv/target-rejected-kept"
        return ("kv/target-rejected-kept",) if long else ("kv/async-stale-accept-count",)

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


def _finding(fault: _Fault, wrong: Bools) -> Finding:
    rounds, short = fault.evidence.rounds, fault.short
    first = int(wrong.argmax())
    rejected = bool(fault.evidence.rejected[first])
    return Finding(
        message=_message(fault.role, fault.steady, fault.growing, float(short[first])),
        measures=(
            Measure(name="tokens short, first time", value=float(short[first]), unit="tokens"),
            Measure(
                name="tokens short, at worst",
                value=float(short[np.nanargmax(np.abs(short))]),
                unit="tokens",
            ),
            Measure(name="wrong per round", value=float(wrong.mean()), n=len(rounds)),
        ),
        remedy="roll the cache back to the committed tokens it was fed, and feed what it lacks "
        "with the next round's first step: two tokens after an all-accepted round",
        confirm=("specprof run --context <the same> --stops 1",),
        rounds=tuple(rounds.index[wrong][:5].tolist()),
        where=Where(
            round=int(rounds.index[first]),
            context=int(rounds.context[first]),
            event="after a rejection" if rejected else "after an all-accepted round",
            used=float(fault.due[first] - short[first]),
            clean=float(fault.due[first]),
        ),
        suspects=fault.suspects(wrong),
        headline=True,
    )


def _steady(short: Floats) -> float | None:
    """Return how short the cache is after all of these rounds; None where it varies."""
    known = short[~np.isnan(short)]
    alike = len(known) > 0 and bool((known == known[0]).all())
    return float(known[0]) if alike else None


def _typical(grown: Floats) -> float:
    known = grown[~np.isnan(grown)]
    return float(np.median(known)) if len(known) else 0.0


def _message(
    role: str, steady: dict[str, float | None], growing: dict[str, float], first: float
) -> str:
    """Tell a shortfall that heals with every round from one that adds up over the rounds."""
    for outcome, tokens in steady.items():
        if tokens:
            return f"the {role} cache is {_count(tokens)} {outcome}"
    for outcome, tokens in growing.items():
        if tokens:
            return f"the {role} cache gets {_count(tokens)} {outcome}"
    return f"the {role} cache is {_count(first)} after some rounds"


def _count(short: float) -> str:
    size = abs(short)
    return f"{size:.0f} token{'' if size == 1 else 's'} {'short' if short > 0 else 'too long'}"
