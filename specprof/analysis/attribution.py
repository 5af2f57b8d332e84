"""The attribution chain: which part of the rejections is a mismatch, and which a bug.

Per reached drafted token, and in a tree per reached level (theory 3):

    rejected = mismatch + state + draft law + accept rule
      mismatch    1 - overlap, recomputed cleanly: what the two models' laws really owe
      state       overlap recomputed - overlap as used: caches, positions, masks
      draft law   overlap as used - acceptance owed given the token drawn
      accept rule acceptance owed given the token - accepted

The sum is exact by construction; each of the last three has expectation 0 in a correct engine and
a test of its own. Knows the tests and their noise floors; which rule speaks of them, it does not.

In a tree a token's probabilities are those left after its elder siblings were rejected, so every
token is a fair bet of its own. A level is passed by one token at most: what its reached tokens owed
in turn adds up, in the mean, to how often it is passed, and the chain holds by level. Rules that
decide a round's drafts together, or that give up the target's law, owe nothing place by place:
there the questions raise MissingEvidence.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.rounding import ROUNDING
from specprof.analysis.stats import Estimate, Trial, fair_bets, fair_coins, fair_tails, rare_events
from specprof.analysis.tables import Bools, Floats, Ints, among, distinct
from specprof.errors import MissingEvidence

Who = Literal["target", "draft"]
_ROOM = 65_536
"""No round drafts as many levels: a round and a level make one sortable number."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What a data type's rounding may do to a recomputed probability."""

    probability: float
    """A token's probability may differ by this."""
    gap: float
    """Total variation between two computations of one law, likewise."""
    share: float
    """Share of places that may differ by more: near ties of two logits."""
    margin: float
    """Two logits this close are a tie."""


NOISE = {
    "float64": Noise(1e-3, 5e-4, 0.001, 1e-6),
    "float32": Noise(2e-3, 5e-4, 0.002, 1e-3),
    "float16": Noise(2e-2, 2e-2, 0.03, 0.05),
    "bfloat16": Noise(1e-1, 1e-1, 0.05, 0.5),
}
"""Generous floors: theory 4.1 found 2.2% exact ties where logits are rounded to bfloat16.

Gaps of healthy runs of the pocket family up to 3,000 tokens, over dense and streaming caches, as
chains, trees and batches, were at most 2e-5 in float32, 0.003 in float16 and 0.03 in bfloat16;
those of a head, which reads what the target's rounding has left, 0.18 in bfloat16, one in a hundred
beyond 0.06. In float32 25 times that: far positions' angles and larger models round more.
"""
LITTLE, EVENLY = 0.1, 8.0
"""Of the gaps, what one in a hundred exceeds: at most this, and at most so many medians.

Caches kept in bfloat16 or in 8 bits under a float32 pocket pair came to 0.007 and 0.096, 5 medians
each; wrong states of the drills to 0.14 at least, or to 15 medians and more.
"""
STEPS = 0.03
"""The same of a cache that rounds to 8 bits, where a difference far below a step decides which step
it is, in each layer anew: eight times the largest seen in float32, 0.004; in float16 it was 0.013.
"""


@dataclass(frozen=True, slots=True)
class Coins:
    """Test T1: whether drafts stood as often as they were owed to."""

    trial: Trial
    """Over the places where the outcome was open."""
    accepted_wrongly: Ints
    """Rounds with a draft that could not stand, and did."""
    rejected_wrongly: Ints
    """Rounds with a draft that had to stand, and did not."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Test T2: whether drafts were drawn from the law they are declared to be drawn from."""

    trial: Trial
    """Of the acceptance owed, against the overlap promised before the draw."""
    ranks: Trial
    """Of the tokens' rank in their law, against 1/2; empty where no rank was recorded."""
    tails: Trial
    """Of draws far down their law, which hardly move the mean rank; likewise."""
    impossible: Ints
    """Rounds with a drafted token that its law gives no mass."""

    @property
    def p_value(self) -> float:
        """Of all three trials: thrice the smallest; 0 where an impossible token was drawn."""
        smallest = min(each.p_value for each in (self.trial, self.ranks, self.tails))
        return 0.0 if len(self.impossible) else min(3 * smallest, 1.0)


@dataclass(frozen=True, slots=True)
class Side:
    """A model's half of test T4: the laws it gave in the run, and those recomputed.

    One row a place, in the order they were rechecked; all arrays are [n].
    """

    of: Who
    round: Ints
    index: Ints
    """Draft index, in a tree the level; of the target also that of the row after the last draft."""
    gap: Floats
    """Total variation between the two laws; else what the drafted token's probability lost."""
    astray: Bools
    """Where they differ by more than rounding can do."""
    trial: Trial

    @property
    def p_value(self) -> float:
        """Always valid; 1 where nothing of this side was rechecked."""
        return self.trial.p_value

    @property
    def rounded(self) -> bool:
        """Whether answers are off by more than they should, but by little and evenly.

        So does coarser arithmetic than was declared. A wrong state leaves some answers nearly right
        and puts others far off.
        """
        if not len(self.gap):
            return False
        middle, most = np.quantile(self.gap, [0.5, 0.99])
        return bool(most <= min(LITTLE, EVENLY * middle))


@dataclass(frozen=True, slots=True)
class Drift:
    """Test T4: whether the laws as used equal those recomputed from the bare tokens."""

    target: Side
    draft: Side
    """Empty where nothing can say again what the drafter's law was."""
    noise: Noise

    @property
    def p_value(self) -> float:
        """Of either side: twice the smaller bounds the chance that one of two alarms is false.

        A side that is merely rounded is in no wrong state.
        """
        sides = (each.p_value for each in (self.target, self.draft) if not each.rounded)
        return min(2 * min(sides, default=1.0), 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """One bracket of the chain, as a share of what was reached (`Attribution.counted`)."""

    name: str
    frac: Estimate
    p_value: float | None
    """Always valid; None where nothing was tested: the mismatch, an absent recheck."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The chain's brackets; `rejected.frac` is the sum of the others."""

    counted: str
    """`reached token`, or `reached level` where drafts were trees."""
    reached: int
    """How many of these."""
    rejected: Part
    mismatch: Part
    state: Part | None
    """None where nothing was rechecked: the mismatch may hold it then."""
    draft_law: Part
    accept_rule: Part
    rechecked_frac: float
    """Share of what was reached that was rechecked; the mismatch of the rest may hold a gap.

    A level counts by any of its siblings: they were judged by the same state.
    """

    @property
    def brackets(self) -> list[Part]:
        """The parts that should be 0, in the order of the chain."""
        return [part for part in (self.state, self.draft_law, self.accept_rule) if part]


def noise(evidence: Evidence) -> Noise:
    """Return the noise floor of the coarser of the two models' data types, and of their caches."""
    facts = [one for one in (evidence.header.target, evidence.header.draft) if one]
    kinds = [NOISE.get(one.dtype.removeprefix("torch."), NOISE["bfloat16"]) for one in facts]
    floor = max(kinds, key=lambda one: one.probability, default=NOISE["bfloat16"])
    if "quantised" not in {evidence.settings.cache, evidence.settings.draft_cache}:
        return floor
    probability, gap = max(floor.probability, STEPS), max(floor.gap, STEPS)
    return replace(floor, probability=probability, gap=gap)


def coins(evidence: Evidence) -> Coins:
    """Judge the accept step by the acceptance owed given each token (theory 3, T1)."""
    _owed_by_place(evidence)
    places = evidence.places
    if evidence.greedy:
        must, cannot = places.accept_owed == 1, places.accept_owed == 0
    else:
        must = places.target_prob >= places.draft_prob * (1 + ROUNDING)
        # A coin that is the target's own draw is never certain: only rounding makes it 1.
        must &= evidence.header.acceptance == "rejection"
        cannot = places.target_prob == 0
    must, cannot = must & (places.accept_owed == 1), cannot & (places.accept_owed == 0)
    certain, tied = must | cannot, _tied(evidence)
    open_ = ~certain
    return Coins(
        trial=fair_coins(places.accept_owed[open_], places.accepted[open_].astype(float)),
        accepted_wrongly=places.round[cannot & places.accepted & ~tied],
        rejected_wrongly=places.round[must & ~places.accepted & ~tied],
    )


def draws(evidence: Evidence) -> Draws:
    """Judge the draft's draws by the overlap owed before them (theory 3, T2)."""
    _owed_by_place(evidence)
    places = evidence.places
    ranked = places.where(~np.isnan(places.draft_rank))
    likelier = ranked.draft_rank - ranked.draft_prob / 2 - ROUNDING
    return Draws(
        trial=fair_bets(places.accept_owed - places.overlap),
        ranks=fair_bets(2 * ranked.draft_rank - 1),
        tails=fair_tails(likelier),
        impossible=places.round[places.draft_prob == 0],
    )


def drift(evidence: Evidence) -> Drift:
    """Judge the state the run acted on by the cache-free recheck (theory 3, T4).

    A cache that drops or rounds tokens by design is rechecked by a forward that does so as well
    (theory 6.3): what differs is in every case the cache's bookkeeping. Judged is the total
    variation of the raw laws, at any temperature, and where it was not recorded the probability of
    the drafted token, a flip of which is excused at a near tie.
    """
    pairs, floor = evidence.pairs, evidence.ask(noise)
    excused = (pairs.margin <= floor.margin) & evidence.greedy
    target = _side(evidence, "target", pairs.target_gap, pairs.target_shift, excused)
    draft = _side(evidence, "draft", pairs.draft_gap, pairs.draft_shift, excused)
    return Drift(target=_with_bonuses(evidence, target), draft=draft, noise=floor)


def attribute(evidence: Evidence) -> Attribution:
    """Return the chain over all places with recorded probabilities; intervals 95%, by rounds."""
    places = evidence.places
    accepted, settles = places.accepted.astype(float), places.settles().astype(float)
    ones = evidence.per_round(places.round, settles)

    def part(name: str, per_place: Floats, p_value: float | None) -> Part:
        frac = evidence.over_rounds(evidence.per_round(places.round, per_place), ones)
        return Part(name, frac, p_value)

    t1, t2 = evidence.ask(coins), evidence.ask(draws)
    unfair = bool(len(t1.accepted_wrongly) or len(t1.rejected_wrongly))
    state, gap, rechecked = _state(evidence)
    mismatch = evidence.per_round(places.round, settles - places.overlap) - gap
    return Attribution(
        counted=evidence.place,
        reached=int(settles.sum()),
        rejected=part("rejected", settles - accepted, None),
        mismatch=Part("mismatch", evidence.over_rounds(mismatch, ones), None),
        state=None if state is None else Part("state", evidence.over_rounds(gap, ones), state),
        draft_law=part("draft law", places.overlap - places.accept_owed, t2.p_value),
        accept_rule=part(
            "accept rule",
            places.accept_owed - accepted,
            0.0 if unfair else t1.trial.p_value,
        ),
        rechecked_frac=rechecked / max(float(settles.sum()), 1.0),
    )


def _owed_by_place(evidence: Evidence) -> None:
    """Raise MissingEvidence where the rule in force owes no acceptance place by place."""
    rule = evidence.header.acceptance
    if evidence.header.lossless is False:
        title = f"the rule {rule!r} gives up the target's law by design"
        raise MissingEvidence(title, "judge its text; no acceptance is owed to a draft there")
    if rule == "block":
        title = "block verification decides a round's drafts together"
        hint = "no draft is owed an acceptance of its own (docs/theory.md, 2.10)"
        raise MissingEvidence(title, hint)


def _side(evidence: Evidence, of: Who, gap: Floats, shift: Floats, excused: Bools) -> Side:
    """Judge one model's places, [pairs] each; siblings share the answer they were judged by."""
    pairs, floor = evidence.pairs, evidence.ask(noise)
    told = ~np.isnan(gap)
    astray = np.where(told, gap > floor.gap, (np.abs(shift) > floor.probability) & ~excused)
    gap = np.where(told, gap, np.abs(shift))
    round_, index = pairs.round, pairs.index
    rows = np.sort(np.unique(round_ * _ROOM + index, return_index=True)[1])
    rows = rows[~np.isnan(gap[rows])]
    trial = rare_events(astray[rows], floor.share)
    return Side(of, round_[rows], index[rows], gap[rows], astray[rows], trial)


def _with_bonuses(evidence: Evidence, side: Side) -> Side:
    """Add the target's answers no draft was judged by: those bonus tokens were drawn from."""
    scored, floor = evidence.rescored, evidence.ask(noise)
    level = scored.round * _ROOM + scored.slot
    alone = ~among(level, side.round * _ROOM + side.index) & ~np.isnan(scored.target_gap)
    scored = scored.where(alone)
    round_, index = (
        np.concatenate(both) for both in ((side.round, scored.round), (side.index, scored.slot))
    )
    # As bursts end they are rechecked: more of a growing capture only ever adds at the end.
    order = np.lexsort((index, round_, evidence.rounds.burst[evidence.row(round_)]))
    gap = np.concatenate([side.gap, scored.target_gap])[order]
    astray = np.concatenate([side.astray, scored.target_gap > floor.gap])[order]
    trial = rare_events(astray, floor.share)
    return Side(side.of, round_[order], index[order], gap, astray, trial)


def answering(evidence: Evidence, side: Side) -> Ints:
    """Return which drafted token's answer decided at each place, -1 the last committed one's."""
    stood = evidence.reached.where(evidence.reached.accepted)
    if not len(stood):
        return np.full(len(side.round), -1, np.int64)
    levels, wanted = stood.round * _ROOM + stood.index, side.round * _ROOM + side.index - 1
    row = np.searchsorted(levels, wanted).clip(max=len(levels) - 1)
    return np.where((side.index > 0) & (levels[row] == wanted), stood.node[row], -1)


def drafted_probs(evidence: Evidence, side: Side, place: int) -> tuple[float, float] | None:
    """Return the drafted token's probability at a place, as used and clean; None: none drafted."""
    pairs, index = evidence.pairs, int(side.index[place])
    same = np.flatnonzero((pairs.round == side.round[place]) & (pairs.index == index))
    if not len(same):
        return None
    used, shift = (getattr(pairs, f"{side.of}_{name}")[same[0]] for name in ("used", "shift"))
    return float(used), float(used - shift)


def _state(evidence: Evidence) -> tuple[float | None, Floats, int]:
    """Return the drift's p-value, the state gap per round [rounds], and the levels rechecked.

    Only places whose overlap could be recomputed count: those whose draft's law could be, too.
    """
    none = np.zeros(len(evidence.rounds))
    try:
        found, pairs = evidence.ask(drift), evidence.pairs
    except MissingEvidence:
        return None, none, 0
    seen = ~np.isnan(pairs.overlap_clean)
    if not seen.any():
        return None, none, 0
    gap = evidence.per_round(pairs.round[seen], (pairs.overlap_clean - pairs.overlap_used)[seen])
    levels = distinct(pairs.round[seen] * _ROOM + pairs.index[seen])
    return found.p_value, gap, len(levels)


def _tied(evidence: Evidence) -> Bools:
    """Return which judged places lie at a near tie of the target's logits, as far as is known."""
    tied = np.zeros(len(evidence.places), np.bool_)
    if not evidence.greedy or not len(evidence.columns.rechecked):
        return tied
    clean, floor = evidence.columns.rechecked, evidence.ask(noise)
    close = clean.where(clean.margin <= floor.margin)
    places = evidence.places
    return among(places.round * _ROOM + places.node, close.round * _ROOM + close.node)
