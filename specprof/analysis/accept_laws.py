"""By which rule drafts are really accepted: the declared rule, or another that fits them better.

An accept decision is called a coin here. `attribution.coins` tests the declared rule; this module
says which law of `accept_bank` explains the coins, if any does.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis import (
    accept_bank,
    attribution,
    emitted_law,
    first_choices,
    likelihood,
)
from specprof.analysis.evidence import Evidence
from specprof.analysis.likelihood import Best
from specprof.analysis.rounding import MAX_RATIO_ERROR, MAX_ROUNDING_ERROR
from specprof.analysis.stats import Trial, binomial_excess, fair_coins
from specprof.analysis.tables import Bools, Floats, Places
from specprof.errors import MissingEvidence

MIN_LEAD_NATS = 3.0
"""A law is named where it explains the decisions better than every other one by this much."""
MIN_MISREAD_SHARE = 0.05
"""Share of the later drafts that must stand but were rejected; a larger share means that they were
judged by another draft's row."""
MAX_WRONG_CHOICES = 0.01
"""Share of a greedy text's tokens that may be no first choice and leave the text the target's."""
MIN_PLACES = 30
"""Places that a claim about every place needs."""


@dataclass(frozen=True, slots=True)
class CoinPattern:
    """What the accept decisions look like."""

    best: Best
    """The law of the bank that explains them best; the declared law is the bank's first."""
    open: int
    """Places whose outcome the declared rule leaves open."""
    contradicted: bool
    """Whether the best law fails an always-valid test of itself."""
    equality: Trial
    """Against the target's probability of the draft: the chance that a draw equals the draft."""
    unchecked: int | None
    """The one draft index whose drafts are all accepted while later indices are judged fairly."""
    checked: int | None
    """The one draft index that is judged fairly while later indices are not."""

    @property
    def explains(self) -> bool:
        """Whether the best law may be named: it leads, and nothing contradicts it."""
        other = self.best.name != "declared" and self.best.lead >= MIN_LEAD_NATS
        return other and self.open >= MIN_PLACES and not self.contradicted

    @property
    def of_target(self) -> bool:
        """Whether another law of the target explains the decisions better than anything else."""
        lead = self.best.lead_over(lambda name: name not in accept_bank.TARGET_LAWS)
        other = self.best.name in accept_bank.TARGET_LAWS and lead >= MIN_LEAD_NATS
        return other and self.open >= MIN_PLACES


def explain_coins(evidence: Evidence) -> CoinPattern:
    """Explain the coins of every eldest sibling; younger siblings are judged by other laws."""
    places = _eldest_siblings(evidence)
    came = places.accepted
    indices = range(int(places.index.max(initial=0)) + 1)
    each = [_is_unfair(evidence, places.where(places.index == index)) for index in indices]
    stood = [bool(came[places.index == index].all()) for index in indices]
    first, later = each[0], any(each[1:])
    certain = places.where(_must_stand(places, greedy=evidence.greedy))
    fallen, behind = ~certain.accepted, certain.index > 0
    misread = not fallen[~behind].any() and fallen[behind].sum() > MIN_MISREAD_SHARE * max(
        behind.sum(), 1
    )
    judged = _best_documented(evidence, places)
    best = _best_law(evidence, judged)
    return CoinPattern(
        best=best,
        open=int(((judged.accept_owed > 0) & (judged.accept_owed < 1)).sum()),
        contradicted=is_contradicted(best.law, judged.accepted, evidence.alpha),
        equality=fair_coins(places.target_prob, came.astype(float)),
        unchecked=0 if first and stood[0] and not later else None,
        checked=0 if later and not first and misread else None,
    )


def is_contradicted(chances: Floats, came: Bools, alpha: float) -> bool:
    """Return whether outcomes, [n], rule out these chances, [n], at error rate `alpha`.

    Outcomes that a law rules out may stray as often as the bank allows.
    """
    open_ = (chances > MAX_ROUNDING_ERROR) & (chances < 1 - MAX_ROUNDING_ERROR)
    trial = fair_coins(chances[open_], came[open_].astype(float))
    wrong = came[~open_] != (chances[~open_] > MAX_ROUNDING_ERROR)
    strays = binomial_excess(int(wrong.sum()), len(wrong), likelihood.STRAY_SHARE)
    return trial.p_value <= alpha or strays <= alpha


def _best_documented(evidence: Evidence, places: Places) -> Places:
    """Return the places of which other laws are known, if these are most; else all."""
    known = places.where(accept_bank.are_known(evidence, places))
    return known if len(known) >= max(MIN_PLACES, len(places) / 2) else places


def _best_law(evidence: Evidence, places: Places) -> Best:
    """Return the best law of the bank. At temperature 0 nothing is drawn, and no law is tried."""
    if evidence.greedy:
        declared = likelihood.Coins("declared", places.accept_owed)
        return likelihood.best_of_coins(places.accepted, lambda: [declared])
    return likelihood.best_of_coins(
        places.accepted, lambda: accept_bank.candidate_laws(evidence, places)
    )


def by_equality(evidence: Evidence) -> bool:
    """Whether drafts are accepted if they equal the target's own draw, and the text is clean.

    The declared rule is rejection, its test fails, and the test of equality does not. That is
    another rule, no bug (theory 2.4). It is the right rule for drafts that were not drawn (theory
    2.3).
    """
    if evidence.header.acceptance != "rejection":
        return False
    try:
        declared = evidence.ask(attribution.coins)
        unfair = declared.trial.p_value <= evidence.alpha or len(declared.rejected_wrongly) > 0
        if len(declared.accepted_wrongly) or not unfair:
            return False
        found = evidence.ask(explain_coins)
    except MissingEvidence:
        return False
    explained = found.best.name == "equality" and found.equality.p_value > evidence.alpha
    return explained and not _text_strays(evidence)


def equality_in_force(evidence: Evidence) -> bool:
    """Whether drafts are accepted if they equal the target's own draw, declared or not."""
    if evidence.header.acceptance != "exact-match":
        return evidence.ask(by_equality)
    return evidence.ask(attribution.coins).trial.p_value > evidence.alpha


def shares_draws(evidence: Evidence) -> bool:
    """Whether drafts may equal the target's own draws because both use the same random numbers.

    Equality is declared, more drafts stand than independent draws would leave, and the text is
    clean. Draws that are made alike agree more often, and the target's are still its own.
    """
    if evidence.header.acceptance != "exact-match" or evidence.greedy:
        return False
    try:
        found, places = evidence.ask(attribution.coins), evidence.places
        certain = len(found.accepted_wrongly) + len(found.rejected_wrongly)
        more = float((places.accepted - places.accept_owed).sum()) > 0
        some = len(places) >= MIN_PLACES and not places.accepted.all()
        return not certain and more and some and not _text_strays(evidence)
    except MissingEvidence:
        return False


def are_drafts_picked(evidence: Evidence) -> bool:
    """Whether every draft is the first choice of a law with several choices: picked, not drawn."""
    places = _eldest_siblings(evidence)
    open_ = places.where((places.draft_prob < 0.9) & ~np.isnan(places.draft_rank))  # noqa: PLR2004
    first = open_.draft_rank <= open_.draft_prob / 2 + MAX_RATIO_ERROR
    return len(open_) >= MIN_PLACES and bool(first.mean() > 0.99)  # noqa: PLR2004 - ties of two


def why_text_strays(evidence: Evidence) -> str | None:
    """Return why the committed text is not the target's own; None where nothing says so."""
    if _coins_stray(evidence):
        return "the accept step is unfair"
    try:
        if evidence.greedy:
            wrong = evidence.ask(first_choices.choices).wrong
            strays = len(wrong) > 0 and float(wrong.mean()) > MAX_WRONG_CHOICES
        else:
            written = evidence.ask(emitted_law.text)
            strays = evidence.header.lossless is not False
            strays &= written.likelihood.p_value <= evidence.alpha or len(written.impossible) > 0
    except MissingEvidence:
        return None
    return "the target would have written another one" if strays else None


def _coins_stray(evidence: Evidence) -> bool:
    try:
        found = evidence.ask(attribution.coins)
    except MissingEvidence:
        return False
    certain = len(found.accepted_wrongly) + len(found.rejected_wrongly)
    unfair = certain > 0 or found.trial.p_value <= evidence.alpha
    return unfair and not evidence.ask(by_equality) and not evidence.ask(shares_draws)


def _text_strays(evidence: Evidence) -> bool:
    """Whether the emitted text is visibly not drawn from the target's law."""
    found = evidence.ask(emitted_law.finals)
    if (found.again & found.correction).any():
        return True
    try:
        written = evidence.ask(emitted_law.text)
    except MissingEvidence:
        return False
    return written.likelihood.p_value <= evidence.alpha or len(written.impossible) > 0


def _eldest_siblings(evidence: Evidence) -> Places:
    evidence.ask(attribution.coins)  # raises where the rule owes no single draft an acceptance
    return evidence.places.where(evidence.places.elder == 0)


def _ruled_out(places: Places, *, greedy: bool) -> Bools:
    """Return which outcomes the rule excludes, [places]."""
    must = _must_stand(places, greedy=greedy)
    return np.asarray((must & ~places.accepted) | ((places.target_prob == 0) & places.accepted))


def _must_stand(places: Places, *, greedy: bool) -> Bools:
    """Return which drafts the rule must accept, [places], rounding errors aside."""
    rounding = 0.0 if greedy else MAX_ROUNDING_ERROR
    likelier = places.target_prob >= places.draft_prob * (1 + rounding)
    return np.asarray(likelier & (places.accept_owed == 1))


def _is_unfair(evidence: Evidence, places: Places) -> bool:
    """Return whether these coins fail the test, or show an outcome that the rule excludes."""
    owed, came = places.accept_owed, places.accepted
    open_ = (owed > 0) & (owed < 1)
    trial = fair_coins(owed[open_], came[open_].astype(float))
    ruled_out = _ruled_out(places, greedy=evidence.greedy)
    return bool(ruled_out.any()) or trial.p_value <= evidence.alpha
