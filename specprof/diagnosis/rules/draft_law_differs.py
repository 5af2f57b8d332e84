"""Drafted tokens are not drawn from the law they are declared to be drawn from.

Measures
    owed(token) - overlap per reached drafted token: the acceptance owed to the drafted token, less
    the acceptance expected under its declared law before the draw; the token's rank in that law,
    whose mean is 1/2 for true draws; tokens far down that law; drafts to which it gives no mass. In
    a tree, the laws are those left after a token's earlier siblings were rejected, and the mean is
    per reached level.

Fires when
    The mean difference is not 0, the mean rank is not 1/2, or tokens of a far tail come too often,
    by betting martingales (always valid, 0.1% for all three, 1% for all tests together); or any
    drafted token has draft probability 0.

Why this is a bug and not a mismatch
    Under the declared law the difference has mean 0 at every place, whatever the two models are:
    the overlap is the expectation of the acceptance owed (theory 2.1, 3 T2). And a token's rank is
    as often in the upper half of its own law's mass as in the lower half.

Likely causes
    The draft samples greedily, or at another temperature, top-k or top-p than the law given to the
    accept step; probabilities of a neighbouring row. The output is then no longer the target's,
    though acceptance often looks better (transformers #32867). In a recording of another engine:
    the draft has its own temperature, but its raw logits were recorded; record its probabilities.

Confirm
    Make the same run at temperature 0: both laws are one-hot there, and the difference must vanish.

Does not see
    Without ranks, a wrong law with equal expected acceptance; a wrong temperature of both models.
    Drafts that are looked up, or chosen without a draw: they declare no law that could be tested.
    Where drafts are accepted by equality, the draft's law does not matter, and nothing is claimed.

Try it
    specprof drill greedy-draft-soft-law
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import accept_laws, attribution
from specprof.analysis.attribution import Draws
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Trial
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where

MIN_DRAWS_DUE = 12.0
"""So many expected draws where none came: the probability of that is exp(-12)."""


class DraftLawDiffers(Rule):
    """An always-valid test, and exact for impossible tokens."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_LAW
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS | {"target-state-drifts"}

    def judge(self, evidence: Evidence) -> Outcome:
        """Test the draws."""
        draws, n = evidence.ask(attribution.draws), len(evidence.places)
        if _has_no_law(evidence):
            title = "no draft was drawn: each draft has all the mass of its law"
            raise MissingEvidence(title, "a looked-up or chosen draft declares no law to test")
        if draws.p_value > evidence.alpha:
            limit = f"a bias of {draws.trial.detectable:.1%} over {n:,} places; "
            rank = f"a mean rank off by {draws.ranks.detectable / 2:.3f}; "
            return Clear(detectable=f"{limit}{rank if draws.ranks.n else ''}one impossible draft")
        if evidence.ask(accept_laws.equality_in_force):
            return Unknown(reason="drafts are accepted by equality, where their law has no part")
        chain = evidence.ask(attribution.attribute)
        part = chain.draft_law
        how, suspects = _say_how(evidence, draws)
        finding = Finding(
            message=f"drafts are not drawn from the law that the accept step is given: {how}",
            measures=(
                Measure(
                    name=f"owed - overlap per {chain.counted}",
                    value=-part.frac.value,
                    n=chain.reached,
                    low=-part.frac.high,
                    high=-part.frac.low,
                ),
                *_rank(draws.ranks),
                Measure(name="impossible drafts", value=len(draws.impossible), n=n),
                Measure(name="always-valid p-value", value=draws.p_value, n=n),
            ),
            remedy="give the accept step the probabilities that each draft was drawn from, after "
            "temperature, top-k and top-p; for a greedy draft that is all mass on one token",
            confirm=("specprof run --temperature 0",),
            rounds=first_rounds(draws.impossible),
            where=_where(evidence),
            suspects=suspects,
            headline=True,
        )
        return Found(finding=finding)


def _has_no_law(evidence: Evidence) -> bool:
    """Return whether drafts have no law of their own.

    Greedy drafts of a model look alike in the capture, so there the drafter decides.
    """
    copied = not evidence.has_distribution
    return bool((evidence.places.draft_prob == 1).all()) and (copied or not evidence.greedy)


def _say_how(evidence: Evidence, draws: Draws) -> tuple[str, tuple[str, ...]]:
    """Say how the draws differ, and name the case that leaves this."""
    if evidence.greedy:
        return "not all are its first choice", ("draft/temp-zero-sampler-degenerate",)
    if evidence.ask(accept_laws.are_drafts_picked):
        return "each is that law's first choice", ("accept/greedy-draft-soft-q",)
    law = ("accept/q-unfiltered-tokens-filtered",)
    if draws.tails.log_evidence > max(draws.ranks.log_evidence, draws.trial.log_evidence):
        return "some come from farther down than draws from it do", law
    if draws.ranks.log_evidence > draws.trial.log_evidence:
        way = "likelier" if draws.ranks.mean < 0 else "unlikelier"
        cut = "; all are among its likeliest tokens" if _is_cut(evidence) else ""
        return f"they are {way} than draws from it would be{cut}", law
    way = "less" if draws.trial.mean < 0 else "more"
    return f"they are owed {way} acceptance than draws from it would be", law


def _is_cut(evidence: Evidence) -> bool:
    """Return whether a filter shows: no draw came from beyond some point of the law."""
    places = evidence.places.where(~np.isnan(evidence.places.draft_rank))
    above = np.sort(places.draft_rank - places.draft_prob / 2)
    due = len(above) * (1 - above[-1]) if len(above) else 0.0
    return bool(due > MIN_DRAWS_DUE)


def _where(evidence: Evidence) -> Where | None:
    """Return the place of the first draft that its own law rules out."""
    places = evidence.places
    wrong = places.draft_prob == 0
    if not wrong.any():
        return None
    row = int(wrong.argmax())
    return Where(
        round=int(places.round[row]),
        context=int(places.context[row]),
        index=int(places.index[row]),
        event="where it was drafted",
        used=0.0,
    )


def _rank(ranks: Trial) -> tuple[Measure, ...]:
    if not ranks.n:
        return ()
    return (
        Measure(
            name="rank in the declared law per reached token", value=0.5 + ranks.mean / 2, n=ranks.n
        ),
    )
