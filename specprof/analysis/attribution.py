"""The attribution chain: which part of the rejections is a mismatch, and which part a bug.

Per reached drafted token, and in a tree per reached level (theory 3):

    rejected = mismatch + state + draft law + accept rule
      mismatch    1 - overlap, recomputed cleanly: the rejections that the two models' laws imply
      state       overlap recomputed - overlap as used: caches, positions, masks
      draft law   overlap as used - acceptance owed given the token drawn
      accept rule acceptance owed given the token - accepted

The sum is exact by construction. Each of the last three parts has expectation 0 in a correct engine
and a test of its own. Knows the tests and their noise floors, not the rules that report them.

In a tree a token's probabilities are those left after its elder siblings were rejected, so every
token is a fair bet of its own. At most one token of a level is accepted. So the acceptance owed to
the level's reached tokens adds up, in the mean, to how often the level is passed, and the chain
holds by level. Some rules decide a round's drafts together or give up the target's law. They owe
no acceptance to a single place, and the questions raise MissingEvidence.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.rounding import MAX_ROUNDING_ERROR
from specprof.analysis.stats import Estimate, Trial, fair_bets, fair_coins, fair_tails, rare_events
from specprof.analysis.tables import Bools, Floats, Ints, among, distinct
from specprof.errors import MissingEvidence

Who = Literal["target", "draft"]
_MAX_LEVELS = 65_536
"""More levels than any round drafts: a round and a level make one sortable number."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a data type's rounding may move a recomputed probability."""

    probability: float
    """Largest difference between two computations of a token's probability."""
    gap: float
    """Largest total variation between two computations of one law."""
    share: float
    """Share of places that may differ by more: near ties of two logits."""
    margin: float
    """Largest difference of two logits that counts as a tie."""


NOISE_BY_DTYPE = {
    "float64": Noise(1e-3, 5e-4, 0.001, 1e-6),
    "float32": Noise(2e-3, 5e-4, 0.002, 1e-3),
    "float16": Noise(2e-2, 2e-2, 0.03, 0.05),
    "bfloat16": Noise(1e-1, 1e-1, 0.05, 0.5),
}
"""Generous floors: theory 4.1 found 2.2% exact ties where logits are rounded to bfloat16.

Measured on healthy runs of the pocket family up to 3,000 tokens, over dense and streaming caches,
as chains, trees and batches. Gaps were at most 2e-5 in float32, 0.003 in float16 and 0.03 in
bfloat16. A head reads the target's rounded features: its gaps were at most 0.18 in bfloat16, and
one in a hundred exceeded 0.06. The float32 floor is 25 times the measured gap, because far
positions' angles and larger models round more.
"""
MAX_ROUNDED_GAP, MAX_GAP_RATIO = 0.1, 8.0
"""Bounds on the gaps' 99% quantile where only rounding is at work: its value, and its ratio to the
median gap.

Caches kept in bfloat16 or in 8 bits under a float32 pocket pair reached 0.007 and 0.096, 5 medians
each. Wrong states of the drills reached at least 0.14, or at least 15 medians.
"""
QUANTISED_NOISE = 0.03
"""Least `probability` and `gap` of a cache that rounds to 8 bits.

In every layer a difference far below one step may decide which step a number is rounded to. It is
eight times the largest gap seen in float32, 0.004; in float16 that was 0.013.
"""


@dataclass(frozen=True, slots=True)
class Coins:
    """Test T1: whether drafts were accepted as often as the rule owed it."""

    trial: Trial
    """Over the places whose outcome the rule leaves open."""
    accepted_wrongly: Ints
    """Rounds that accepted a draft which the rule must reject."""
    rejected_wrongly: Ints
    """Rounds that rejected a draft which the rule must accept."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Test T2: whether drafts were drawn from their declared law."""

    trial: Trial
    """Of the acceptance owed given the token, against the overlap owed before the draw."""
    ranks: Trial
    """Of the tokens' rank in their law, against 1/2; empty where no rank was recorded."""
    tails: Trial
    """Of unlikely draws, which hardly move the mean rank; empty where no rank was recorded."""
    impossible: Ints
    """Rounds with a drafted token of probability 0 in its law."""

    @property
    def p_value(self) -> float:
        """Three times the smallest of the three trials' p-values; 0 after an impossible draw."""
        smallest = min(each.p_value for each in (self.trial, self.ranks, self.tails))
        return 0.0 if len(self.impossible) else min(3 * smallest, 1.0)


@dataclass(frozen=True, slots=True)
class Side:
    """One model's half of test T4: its laws in the run, against the recomputed laws.

    One row per place, in the order of the recheck; all arrays are [n].
    """

    of: Who
    round: Ints
    index: Ints
    """Draft index, in a tree the level. The target also has the row after the last draft."""
    gap: Floats
    """Total variation between the two laws; where not recorded, the absolute difference of the
    drafted token's probabilities."""
    astray: Bools
    """Where the two laws differ by more than rounding explains."""
    trial: Trial

    @property
    def p_value(self) -> float:
        """Valid at any time; 1 where nothing of this side was rechecked."""
        return self.trial.p_value

    @property
    def rounded(self) -> bool:
        """Whether the gaps are small and even, as arithmetic coarser than declared leaves them.

        A wrong state leaves some answers nearly right and others far off.
        """
        if not len(self.gap):
            return False
        middle, most = np.quantile(self.gap, [0.5, 0.99])
        return bool(most <= min(MAX_ROUNDED_GAP, MAX_GAP_RATIO * middle))


@dataclass(frozen=True, slots=True)
class Drift:
    """Test T4: whether the laws as used equal the laws recomputed from the bare tokens."""

    target: Side
    draft: Side
    """Empty where the drafter's law can't be recomputed."""
    noise: Noise

    @property
    def p_value(self) -> float:
        """Twice the smaller of the sides' p-values, which bounds the chance of a false alarm.

        A side that is merely rounded is left out: its state is not wrong.
        """
        sides = (each.p_value for each in (self.target, self.draft) if not each.rounded)
        return min(2 * min(sides, default=1.0), 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the chain, as a share of the reached tokens or levels (`Attribution.counted`)."""

    name: str
    frac: Estimate
    p_value: float | None
    """Valid at any time; None for a part without a test: the rejections and the mismatch."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The chain's parts; `rejected.frac` is the sum of the other parts."""

    counted: str
    """`reached token`, or `reached level` where drafts were trees."""
    reached: int
    """How many tokens or levels were reached."""
    rejected: Part
    mismatch: Part
    state: Part | None
    """None where nothing was rechecked: then the mismatch may include it."""
    draft_law: Part
    accept_rule: Part
    rechecked_frac: float
    """Share of the reached tokens or levels that was rechecked. The mismatch of the rest may
    include a state gap.

    A level counts if any of its siblings was rechecked: one state judged all of them.
    """

    @property
    def brackets(self) -> list[Part]:
        """The parts that should be 0, in the order of the chain."""
        return [part for part in (self.state, self.draft_law, self.accept_rule) if part]


def noise(evidence: Evidence) -> Noise:
    """Return the noise floor of the coarser of the two models' data types and their caches."""
    facts = [one for one in (evidence.header.target, evidence.header.draft) if one]
    kinds = [
        NOISE_BY_DTYPE.get(one.dtype.removeprefix("torch."), NOISE_BY_DTYPE["bfloat16"])
        for one in facts
    ]
    floor = max(kinds, key=lambda one: one.probability, default=NOISE_BY_DTYPE["bfloat16"])
    if "quantised" not in {evidence.settings.cache, evidence.settings.draft_cache}:
        return floor
    probability, gap = max(floor.probability, QUANTISED_NOISE), max(floor.gap, QUANTISED_NOISE)
    return replace(floor, probability=probability, gap=gap)


def coins(evidence: Evidence) -> Coins:
    """Judge the accept step by the acceptance owed given each token (theory 3, T1)."""
    _require_owed_by_place(evidence)
    places = evidence.places
    if evidence.greedy:
        must, cannot = places.accept_owed == 1, places.accept_owed == 0
    else:
        must = places.target_prob >= places.draft_prob * (1 + MAX_ROUNDING_ERROR)
        # A rule that draws from the target is never certain to accept: only rounding makes it 1.
        must &= evidence.header.acceptance == "rejection"
        cannot = places.target_prob == 0
    must, cannot = must & (places.accept_owed == 1), cannot & (places.accept_owed == 0)
    certain, tied = must | cannot, _near_ties(evidence)
    open_ = ~certain
    return Coins(
        trial=fair_coins(places.accept_owed[open_], places.accepted[open_].astype(float)),
        accepted_wrongly=places.round[cannot & places.accepted & ~tied],
        rejected_wrongly=places.round[must & ~places.accepted & ~tied],
    )


def draws(evidence: Evidence) -> Draws:
    """Judge the draft's draws by the overlap owed before them (theory 3, T2)."""
    _require_owed_by_place(evidence)
    places = evidence.places
    ranked = places.where(~np.isnan(places.draft_rank))
    likelier = ranked.draft_rank - ranked.draft_prob / 2 - MAX_ROUNDING_ERROR
    return Draws(
        trial=fair_bets(places.accept_owed - places.overlap),
        ranks=fair_bets(2 * ranked.draft_rank - 1),
        tails=fair_tails(likelier),
        impossible=places.round[places.draft_prob == 0],
    )


def drift(evidence: Evidence) -> Drift:
    """Judge the state the run acted on by the cache-free recheck (theory 3, T4).

    Some caches drop or round tokens by design. Their recheck drops or rounds as well (theory 6.3),
    so a difference always comes from the cache's bookkeeping. Compares the total variation of the
    raw laws, at any temperature. Where it was not recorded, compares the probability of the drafted
    token instead, and excuses a greedy choice that flips at a near tie.
    """
    pairs, floor = evidence.pairs, evidence.ask(noise)
    excused = (pairs.margin <= floor.margin) & evidence.greedy
    target = _judge_side(evidence, "target", pairs.target_gap, pairs.target_shift, excused)
    draft = _judge_side(evidence, "draft", pairs.draft_gap, pairs.draft_shift, excused)
    return Drift(target=_add_bonuses(evidence, target), draft=draft, noise=floor)


def attribute(evidence: Evidence) -> Attribution:
    """Return the chain over all places with recorded probabilities; 95% intervals over rounds."""
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


def _require_owed_by_place(evidence: Evidence) -> None:
    """Raise MissingEvidence where the declared rule owes no acceptance to a single draft."""
    rule = evidence.header.acceptance
    if evidence.header.lossless is False:
        title = f"the rule {rule!r} gives up the target's law by design"
        raise MissingEvidence(title, "judge its text: the rule owes no draft an acceptance")
    if rule == "block":
        title = "block verification decides a round's drafts together"
        hint = "it owes no single draft an acceptance (docs/theory.md, 2.10)"
        raise MissingEvidence(title, hint)


def _judge_side(evidence: Evidence, of: Who, gap: Floats, shift: Floats, excused: Bools) -> Side:
    """Judge one model's places, [pairs] each. Siblings count once: one answer judged them."""
    pairs, floor = evidence.pairs, evidence.ask(noise)
    recorded = ~np.isnan(gap)
    astray = np.where(recorded, gap > floor.gap, (np.abs(shift) > floor.probability) & ~excused)
    gap = np.where(recorded, gap, np.abs(shift))
    round_, index = pairs.round, pairs.index
    rows = np.sort(np.unique(round_ * _MAX_LEVELS + index, return_index=True)[1])
    rows = rows[~np.isnan(gap[rows])]
    trial = rare_events(astray[rows], floor.share)
    return Side(of, round_[rows], index[rows], gap[rows], astray[rows], trial)


def _add_bonuses(evidence: Evidence, side: Side) -> Side:
    """Add the target's answers that judged no draft: bonus tokens were drawn from these."""
    scored, floor = evidence.rescored, evidence.ask(noise)
    level = scored.round * _MAX_LEVELS + scored.slot
    alone = ~among(level, side.round * _MAX_LEVELS + side.index) & ~np.isnan(scored.target_gap)
    scored = scored.where(alone)
    round_, index = (
        np.concatenate(both) for both in ((side.round, scored.round), (side.index, scored.slot))
    )
    # A burst is rechecked when it ends: a growing capture only adds rows at the end.
    order = np.lexsort((index, round_, evidence.rounds.burst[evidence.row(round_)]))
    gap = np.concatenate([side.gap, scored.target_gap])[order]
    astray = np.concatenate([side.astray, scored.target_gap > floor.gap])[order]
    trial = rare_events(astray, floor.share)
    return Side(side.of, round_[order], index[order], gap, astray, trial)


def answering_nodes(evidence: Evidence, side: Side) -> Ints:
    """Return the node of the drafted token whose answer decided at each place, [n].

    -1: the answer of the last committed token.
    """
    stood = evidence.reached.where(evidence.reached.accepted)
    if not len(stood):
        return np.full(len(side.round), -1, np.int64)
    levels, wanted = (
        stood.round * _MAX_LEVELS + stood.index,
        side.round * _MAX_LEVELS + side.index - 1,
    )
    row = np.searchsorted(levels, wanted).clip(max=len(levels) - 1)
    return np.where((side.index > 0) & (levels[row] == wanted), stood.node[row], -1)


def drafted_probs(evidence: Evidence, side: Side, place: int) -> tuple[float, float] | None:
    """Return the drafted token's probability at a place, as used and as recomputed.

    None where no token was drafted there.
    """
    pairs, index = evidence.pairs, int(side.index[place])
    same = np.flatnonzero((pairs.round == side.round[place]) & (pairs.index == index))
    if not len(same):
        return None
    used, shift = (getattr(pairs, f"{side.of}_{name}")[same[0]] for name in ("used", "shift"))
    return float(used), float(used - shift)


def _state(evidence: Evidence) -> tuple[float | None, Floats, int]:
    """Return the drift's p-value, the state gap per round [rounds], and the levels rechecked.

    Only places whose overlap could be recomputed count: that needs both models' laws.
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
    levels = distinct(pairs.round[seen] * _MAX_LEVELS + pairs.index[seen])
    return found.p_value, gap, len(levels)


def _near_ties(evidence: Evidence) -> Bools:
    """Return which judged places lie at a known near tie of the target's logits, [places]."""
    tied = np.zeros(len(evidence.places), np.bool_)
    if not evidence.greedy or not len(evidence.columns.rechecked):
        return tied
    clean, floor = evidence.columns.rechecked, evidence.ask(noise)
    close = clean.where(clean.margin <= floor.margin)
    places = evidence.places
    return among(places.round * _MAX_LEVELS + places.node, close.round * _MAX_LEVELS + close.node)
