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

from dataclasses import dataclass

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import (
    Estimate,
    Trial,
    binomial_excess,
    fair_bets,
    fair_coins,
)
from specprof.analysis.tables import Bools, Floats, Ints
from specprof.errors import MissingEvidence

ROUNDING = 1e-4
"""Recorded probabilities have five significant digits; ratios of two are good to this."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What a data type's rounding may do to a recomputed probability."""

    probability: float
    """A token's probability may differ by this."""
    share: float
    """Share of places that may differ by more: near ties of two logits."""
    margin: float
    """Two logits this close are a tie."""


NOISE = {
    "float64": Noise(1e-3, 0.001, 1e-6),
    "float32": Noise(2e-3, 0.002, 1e-3),
    "float16": Noise(2e-2, 0.03, 0.05),
    "bfloat16": Noise(1e-1, 0.05, 0.5),
}
"""Generous floors: theory 4.1 found 2.2 % exact ties where logits are rounded to bfloat16."""


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
    impossible: Ints
    """Rounds with a drafted token that its law gives no mass."""

    @property
    def p_value(self) -> float:
        """Of both trials: twice the smaller; 0 where an impossible token was drawn."""
        smaller = min(self.trial.p_value, self.ranks.p_value)
        return 0.0 if len(self.impossible) else min(2 * smaller, 1.0)


@dataclass(frozen=True, slots=True)
class Drift:
    """Test T4: whether the laws as used equal those recomputed from the bare tokens."""

    n: int
    target: Bools
    """Where the target's probability differs by more than rounding, [n]."""
    draft: Bools
    target_p_value: float
    draft_p_value: float
    noise: Noise


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
    """Return the noise floor of the coarser of the two models' data types."""
    facts = [one for one in (evidence.header.target, evidence.header.draft) if one]
    kinds = [NOISE.get(one.dtype.removeprefix("torch."), NOISE["bfloat16"]) for one in facts]
    return max(kinds, key=lambda one: one.probability, default=NOISE["bfloat16"])


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
    ranks = places.draft_rank[~np.isnan(places.draft_rank)]
    return Draws(
        trial=fair_bets(places.accept_owed - places.overlap),
        ranks=fair_bets(2 * ranks - 1),
        impossible=places.round[places.draft_prob == 0],
    )


def drift(evidence: Evidence) -> Drift:
    """Judge the state the run acted on by the cache-free recheck (theory 3, T4).

    A cache that drops or rounds tokens by design is rechecked by a forward that does so as well
    (theory 6.3): what differs is in every case the cache's bookkeeping.
    """
    pairs, floor = evidence.pairs, evidence.ask(noise)
    target = np.abs(pairs.target_shift) > floor.probability
    draft = np.abs(pairs.draft_shift) > floor.probability
    if evidence.greedy:
        target &= pairs.margin > floor.margin
    n = len(pairs.round)
    return Drift(
        n=n,
        target=target,
        draft=draft,
        target_p_value=binomial_excess(int(target.sum()), n, floor.share),
        draft_p_value=binomial_excess(int(draft.sum()), n, floor.share),
        noise=floor,
    )


def attribute(evidence: Evidence) -> Attribution:
    """Return the chain over all places with recorded probabilities; intervals 95 %, by rounds."""
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
        raise MissingEvidence(title, "no draft is owed an acceptance of its own (theory 2.10)")


def _state(evidence: Evidence) -> tuple[float | None, Floats, int]:
    """Return the drift's p-value, the state gap per round [rounds], and the levels rechecked."""
    try:
        found, pairs = evidence.ask(drift), evidence.pairs
    except MissingEvidence:
        return None, np.zeros(len(evidence.rounds)), 0
    gap = evidence.per_round(pairs.round, pairs.overlap_clean - pairs.overlap_used)
    # Two sides are tested: twice the smaller p-value bounds the chance of either alarm.
    p_value = min(2 * min(found.target_p_value, found.draft_p_value), 1.0)
    return p_value, gap, len(set(zip(pairs.round.tolist(), pairs.index.tolist(), strict=True)))


def _tied(evidence: Evidence) -> Bools:
    """Return which judged places lie at a near tie of the target's logits, as far as is known."""
    tied = np.zeros(len(evidence.places), np.bool_)
    if not evidence.greedy or not len(evidence.columns.rechecked):
        return tied
    clean, floor = evidence.columns.rechecked, evidence.ask(noise)
    close = clean.where(clean.margin <= floor.margin)
    ties = set(zip(close.round.tolist(), close.node.tolist(), strict=True))
    places = zip(evidence.places.round.tolist(), evidence.places.node.tolist(), strict=True)
    return np.fromiter((place in ties for place in places), np.bool_, len(tied))
