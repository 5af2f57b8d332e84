"""By which rule drafts are really accepted: the declared rule, or another that fits them better.

An accept decision is called a coin here. `attribution.coins` tests the declared rule; this module
names other rules that explain the coins. They use what was recorded of each place: the draft's two
probabilities, its index, and the probability of the target's first choice, which follows from the
token that was emitted there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from specprof.analysis import attribution, emitted_law, likelihood
from specprof.analysis.evidence import Evidence
from specprof.analysis.likelihood import Best
from specprof.analysis.rounding import MAX_RATIO_ERROR, MAX_ROUNDING_ERROR
from specprof.analysis.stats import Trial, fair_coins
from specprof.analysis.tables import Bools, Floats, Places
from specprof.errors import MissingEvidence

THRESHOLDS = (0.01, 0.03, 0.1, 0.3)
LENIENCE_FACTORS = (0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)
MIN_MISREAD_SHARE = 0.05
"""Share of the later drafts that must stand but were rejected; a larger share means that they were
judged by another draft's row."""
MIN_PLACES = 30
"""Places that a claim about every place needs."""


@dataclass(frozen=True, slots=True)
class CoinPattern:
    """What the accept decisions look like."""

    best: Best
    """The law of the bank that explains them best; the declared law is the bank's first."""
    equality: Trial
    """Against the target's probability of the draft: the chance that a draw equals the draft."""
    unchecked: int | None
    """The one draft index whose drafts are all accepted while later indices are judged fairly."""
    checked: int | None
    """The one draft index that is judged fairly while later indices are not."""


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
    return CoinPattern(
        best=likelihood.best_of_coins(came, _candidate_laws(evidence, places)),
        equality=fair_coins(places.target_prob, came.astype(float)),
        unchecked=0 if first and stood[0] and not later else None,
        checked=0 if later and not first and misread else None,
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


def are_drafts_picked(evidence: Evidence) -> bool:
    """Whether every draft is the first choice of a law with several choices: picked, not drawn."""
    places = _eldest_siblings(evidence)
    open_ = places.where((places.draft_prob < 0.9) & ~np.isnan(places.draft_rank))  # noqa: PLR2004
    first = open_.draft_rank <= open_.draft_prob / 2 + MAX_RATIO_ERROR
    return len(open_) >= MIN_PLACES and bool(first.mean() > 0.99)  # noqa: PLR2004 - ties of two


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


def _candidate_laws(evidence: Evidence, places: Places) -> Iterator[tuple[str, Floats]]:
    """Yield the laws that coins may follow, the declared law first; each [places]."""
    target, draft = places.target_prob, np.maximum(places.draft_prob, 1e-12)
    ratio = target / draft
    yield "declared", places.accept_owed
    yield "always", np.ones_like(target)
    if evidence.greedy:  # every outcome is certain: no share of a ratio explains any
        return
    yield "equality", target
    yield "inverted ratio", np.minimum(1, 1 / np.maximum(ratio, 1e-12))
    yield "draft's own mass", draft
    yield "never", np.zeros_like(target)
    yield "the same coin each time", (places.accept_owed > 0.5).astype(float)  # noqa: PLR2004
    for bar in THRESHOLDS:
        yield f"target above {bar:g}", (target > bar).astype(float)
    for lenient in LENIENCE_FACTORS:
        yield f"{lenient:g} times the ratio", np.minimum(1, lenient * ratio)
    highest = _largest_target_probs(evidence, places)
    if highest is not None:
        yield "share of the likeliest", np.minimum(1, target / np.maximum(highest, 1e-12))


def _largest_target_probs(evidence: Evidence, places: Places) -> Floats | None:
    """Return the target's largest probability at each place, [places]; None where not recorded.

    The emitted token's logit shortfall gives the ratio of its probability to the largest one.
    """
    tokens, temperature = evidence.rescored, evidence.settings.temperature
    if not len(tokens) or not temperature or evidence.columns.trees:
        return None
    keys = tokens.round * 65_536 + tokens.slot
    order = np.argsort(keys, kind="stable")
    wanted = places.round * 65_536 + places.index
    at = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    highest = tokens.target_prob[at] * np.exp(tokens.shortfall[at] / temperature)
    known = (keys[at] == wanted) & (tokens.target_prob[at] > 0)
    return np.where(known, np.minimum(highest, 1.0), places.target_prob)


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
