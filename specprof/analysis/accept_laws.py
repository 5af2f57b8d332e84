"""By which rule drafts really stand: the declared one, or which other one explains the coins.

The declared rule is tested by `attribution.coins`; this names what else it may be. Draws its laws
from what was recorded of each place: the draft's two probabilities, its index, and the mass of the
target's first choice, read off the token that was emitted there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from specprof.analysis import attribution, emitted_law, likelihood
from specprof.analysis.evidence import Evidence
from specprof.analysis.likelihood import Best
from specprof.analysis.rounding import ROUNDING, SLACK
from specprof.analysis.stats import Trial, fair_coins
from specprof.analysis.tables import Bools, Floats, Places
from specprof.errors import MissingEvidence

THRESHOLDS = (0.01, 0.03, 0.1, 0.3)
LENIENCE = (0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)
MISREAD = 0.05
"""Of later drafts that must stand, the share that falls where they are judged by another's row."""
ENOUGH = 30
"""Places a claim about all of them takes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the coins look like."""

    best: Best
    """Of the bank; the declared law is its first."""
    equality: Trial
    """Against the target's own probability of the draft, which equality with a draw owes."""
    unchecked: int | None
    """The one draft index whose drafts all stand while the others are judged fairly."""
    checked: int | None
    """The one draft index that is judged fairly while later ones are not."""


def standing(evidence: Evidence) -> Standing:
    """Explain the coins of every eldest sibling; the younger are judged by what is left of laws."""
    places = _eldest(evidence)
    came = places.accepted
    indices = range(int(places.index.max(initial=0)) + 1)
    each = [_unfair(evidence, places.where(places.index == index)) for index in indices]
    stood = [bool(came[places.index == index].all()) for index in indices]
    first, later = each[0], any(each[1:])
    certain = places.where(_certain(places, greedy=evidence.greedy))
    fallen, behind = ~certain.accepted, certain.index > 0
    misread = not fallen[~behind].any() and fallen[behind].sum() > MISREAD * max(behind.sum(), 1)
    return Standing(
        best=likelihood.best_of_coins(came, _bank(evidence, places)),
        equality=fair_coins(places.target_prob, came.astype(float)),
        unchecked=0 if first and stood[0] and not later else None,
        checked=0 if later and not first and misread else None,
    )


def by_equality(evidence: Evidence) -> bool:
    """Whether drafts stand as equality with the target's own draw has it, and the text is clean.

    Rejection is declared, its coins fail, and those of equality do not: another rule, no bug
    (theory 2.4). Against drafts that are no draws it is the rule that suits them (theory 2.3).
    """
    if evidence.header.acceptance != "rejection":
        return False
    try:
        declared = evidence.ask(attribution.coins)
        unfair = declared.trial.p_value <= evidence.alpha or len(declared.rejected_wrongly) > 0
        if len(declared.accepted_wrongly) or not unfair:
            return False
        found = evidence.ask(standing)
    except MissingEvidence:
        return False
    explained = found.best.name == "equality" and found.equality.p_value > evidence.alpha
    return explained and not _strays(evidence)


def equality_in_force(evidence: Evidence) -> bool:
    """Whether drafts stand by equality with the target's own draw, declared or not."""
    if evidence.header.acceptance != "exact-match":
        return evidence.ask(by_equality)
    return evidence.ask(attribution.coins).trial.p_value > evidence.alpha


def picked(evidence: Evidence) -> bool:
    """Whether every draft is the first choice of a law that has others: picked, not drawn."""
    places = _eldest(evidence)
    open_ = places.where((places.draft_prob < 0.9) & ~np.isnan(places.draft_rank))  # noqa: PLR2004
    first = open_.draft_rank <= open_.draft_prob / 2 + SLACK
    return len(open_) >= ENOUGH and bool(first.mean() > 0.99)  # noqa: PLR2004 - ties of two


def _strays(evidence: Evidence) -> bool:
    """Whether the emitted text is not the target's, as far as that can be told."""
    found = evidence.ask(emitted_law.finals)
    if (found.again & found.correction).any():
        return True
    try:
        written = evidence.ask(emitted_law.text)
    except MissingEvidence:
        return False
    return written.likelihood.p_value <= evidence.alpha or len(written.impossible) > 0


def _bank(evidence: Evidence, places: Places) -> Iterator[tuple[str, Floats]]:
    """Yield the laws that coins may follow, the declared one first; each [places]."""
    target, draft = places.target_prob, np.maximum(places.draft_prob, 1e-12)
    ratio = target / draft
    yield "declared", places.accept_owed
    yield "always", np.ones_like(target)
    yield "equality", target
    yield "inverted ratio", np.minimum(1, 1 / np.maximum(ratio, 1e-12))
    yield "draft's own mass", draft
    yield "never", np.zeros_like(target)
    yield "the same coin each time", (places.accept_owed > 0.5).astype(float)  # noqa: PLR2004
    for bar in THRESHOLDS:
        yield f"target above {bar:g}", (target > bar).astype(float)
    for lenient in LENIENCE:
        yield f"{lenient:g} times the ratio", np.minimum(1, lenient * ratio)
    highest = _highest(evidence, places)
    if highest is not None:
        yield "share of the likeliest", np.minimum(1, target / np.maximum(highest, 1e-12))


def _highest(evidence: Evidence, places: Places) -> Floats | None:
    """Return the target's largest probability at each place, [places]; None where not recorded.

    Of a token emitted there the shortfall of its logit says by how much it is less likely.
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


def _eldest(evidence: Evidence) -> Places:
    evidence.ask(attribution.coins)  # raises where no draft is owed anything of its own
    return evidence.places.where(evidence.places.elder == 0)


def _ruled_out(places: Places, *, greedy: bool) -> Bools:
    """Return which outcomes no coin could have: of certain drafts, [places]."""
    must = _certain(places, greedy=greedy)
    return np.asarray((must & ~places.accepted) | ((places.target_prob == 0) & places.accepted))


def _certain(places: Places, *, greedy: bool) -> Bools:
    """Return which drafts the law bids stand, [places], by more than rounding."""
    rounding = 0.0 if greedy else ROUNDING
    likelier = places.target_prob >= places.draft_prob * (1 + rounding)
    return np.asarray(likelier & (places.accept_owed == 1))


def _unfair(evidence: Evidence, places: Places) -> bool:
    """Return whether these coins fail: by the test, or by outcomes the law rules out."""
    owed, came = places.accept_owed, places.accepted
    open_ = (owed > 0) & (owed < 1)
    trial = fair_coins(owed[open_], came[open_].astype(float))
    ruled_out = _ruled_out(places, greedy=evidence.greedy)
    return bool(ruled_out.any()) or trial.p_value <= evidence.alpha
