"""The laws that accept decisions may follow: every known way to judge a draft wrongly, as chances.

They use what was recorded of each place: the draft's two probabilities, its index, the probability
of the target's first choice, which follows from the token that was emitted there, and the draft's
probabilities under other laws, where the recheck wrote them down.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from specprof.analysis import likelihood
from specprof.analysis.evidence import Evidence
from specprof.analysis.likelihood import Coins
from specprof.analysis.tables import Bools, Floats, Ints, OtherPlaces, Places

FACTORS = np.geomspace(0.1, 10.0, 41)
"""The ratio may be off by such a factor; the best one is refined."""
FINE_STEPS = 21
SHARES = np.linspace(0.02, 0.98, 49)
"""A second chance to reject leaves such a share of what is owed."""
NEVER_ZERO = 1e-12
_MAX_LEVELS = 65_536
"""More levels than any round drafts: a round and a level make one sortable number."""
OF_TARGET: Final = {
    "target_raw": "the target's unprocessed law",
    "target_unfiltered": "the target's unfiltered law",
    "target_twice": "the target's law, tempered twice",
    "target_before": "the target's row before",
    "target_after": "the target's row after",
}
OF_DRAFT: Final = {
    "draft_soft": "the draft's whole law",
    "draft_first": "the draft's first step",
    "draft_before": "the draft's step before",
    "draft_after": "the draft's step after",
    "draft_last": "the draft's last step",
}
RAW_FIRST, RAW_LATER = "the first row unprocessed", "the later rows unprocessed"
FLAT = "a flat target"
TARGET_LAWS = frozenset({*OF_TARGET.values(), RAW_FIRST, RAW_LATER, FLAT})
"""Names of the laws in which the target's probability is another."""
FACTOR, SHARE = "times the ratio", "times the acceptance owed"
THRESHOLD = "target above"


def candidate_laws(evidence: Evidence, places: Places) -> Iterator[Coins]:
    """Yield the laws that the coins of eldest siblings may follow, the declared law first."""
    yield Coins("declared", places.accept_owed)
    yield from _without_probabilities(places)
    yield from _of_wrong_ratios(evidence, places)
    yield from _of_broken_coins(places)
    yield from _of_other_laws(evidence, places)


def owed_by(evidence: Evidence, target: Floats, draft: Floats) -> Floats:
    """Return the acceptance that the declared rule owes to tokens of these probabilities, [n]."""
    if evidence.header.acceptance == "exact-match":
        return target
    return np.minimum(1, _divide(target, draft))


def _divide(target: Floats, draft: Floats) -> Floats:
    return target / np.maximum(draft, NEVER_ZERO)


def _without_probabilities(places: Places) -> Iterator[Coins]:
    """Yield the laws that look at no probability."""
    came, ones = places.accepted, np.ones(len(places))
    yield Coins("always", ones)
    yield Coins("never", 0 * ones)
    share = float(came.mean()) if len(came) else 0.0
    yield Coins("the same share of all drafts", share * ones, _price(len(came)) / 2)
    first = places.index == 0
    if (~first).any():
        share = float(came[first].mean()) if first.any() else 0.0
        yield Coins("all or nothing", np.where(first, share, 1.0), _price(len(came)) / 2)


def _of_wrong_ratios(evidence: Evidence, places: Places) -> Iterator[Coins]:
    """Yield the laws that compare the two right probabilities in a wrong way."""
    target, draft = places.target_prob, np.maximum(places.draft_prob, NEVER_ZERO)
    ratio = _divide(target, draft)
    yield Coins("equality", target)
    if evidence.header.acceptance != "rejection":
        yield Coins("target / draft", np.minimum(1, ratio))
    yield Coins("inverted ratio", np.minimum(1, _divide(draft, target)))
    yield Coins("draft's own mass", draft)
    bar = _best_bar(target, places.accepted)
    yield Coins(f"{THRESHOLD} {bar:.3g}", (target > bar).astype(float), _price(len(target)))
    factor = _best_factor(ratio, places.accepted, FACTORS)
    price = _price(len(FACTORS)) + _price(len(target)) / 2
    yield Coins(f"{factor:.3g} {FACTOR}", np.minimum(1, factor * ratio), price)
    share = _best_factor(places.accept_owed, places.accepted, SHARES)
    price = _price(len(SHARES)) + _price(len(target)) / 2
    yield Coins(f"{share:.3g} {SHARE}", share * places.accept_owed, price)
    highest = largest_target_probs(evidence, places)
    if highest is not None:
        yield Coins("share of the likeliest", np.minimum(1, _divide(target, highest)))


def _of_broken_coins(places: Places) -> Iterator[Coins]:
    """Yield the laws of right probabilities and random numbers that are none."""
    came, index = places.accepted, places.index
    ratio = _divide(places.target_prob, places.draft_prob)
    yield Coins("a coin of 1", (ratio >= 1).astype(float))
    bar = _best_bar(ratio, came)
    yield Coins("the same coin each time", (ratio > bar).astype(float), _price(len(came)))
    if not index.any():
        return
    yield Coins("one coin for a whole round", _with_one_coin(places, ratio))
    stands, price = np.zeros(len(places)), 0.0
    for each in range(int(index.max()) + 1):
        here = index == each
        stands[here] = ratio[here] > _best_bar(ratio[here], came[here])
        price += _price(int(here.sum()))
    yield Coins("the same coins in every round", stands, price)


def _of_other_laws(evidence: Evidence, places: Places) -> Iterator[Coins]:
    """Yield the right comparison of probabilities of which one is of another law."""
    facts, target, draft = evidence.header.target, places.target_prob, places.draft_prob
    if facts is not None:
        yield Coins(FLAT, owed_by(evidence, np.full(len(places), 1 / facts.vocabulary), draft))
    others, row = find_others(evidence, places)
    if others is None:
        return
    for field, name in OF_TARGET.items():
        other = getattr(others, field)[row]
        if not np.isnan(other).all():
            yield Coins(name, owed_by(evidence, _or_own(other, target), draft))
    raw, first = others.target_raw[row], places.index == 0
    if not np.isnan(raw).all() and first.any() and not first.all():
        for name, rows in ((RAW_FIRST, first), (RAW_LATER, ~first)):
            yield Coins(
                name, owed_by(evidence, np.where(rows, _or_own(raw, target), target), draft)
            )
    for field, name in OF_DRAFT.items():
        other = getattr(others, field)[row]
        if not np.isnan(other).all():
            yield Coins(name, owed_by(evidence, target, _or_own(other, draft)))


def find_others(evidence: Evidence, places: Places) -> tuple[OtherPlaces | None, Ints]:
    """Return the table of other laws and the row of each place in it; None where one lacks."""
    others = evidence.columns.others
    keys, wanted = _key(others.round, others.node), _key(places.round, places.node)
    if not len(keys):
        return None, wanted
    order = np.argsort(keys, kind="stable")
    row = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    return (others, row) if (keys[row] == wanted).all() else (None, row)


def are_known(evidence: Evidence, places: Places) -> Bools:
    """Return of which places other laws are known, [places]."""
    others = evidence.columns.others
    keys = np.sort(_key(others.round, others.node))
    if not len(keys):
        return np.zeros(len(places), np.bool_)
    wanted = _key(places.round, places.node)
    return np.asarray(keys[np.searchsorted(keys, wanted).clip(max=len(keys) - 1)] == wanted)


def largest_target_probs(evidence: Evidence, places: Places) -> Floats | None:
    """Return the target's largest probability at each place, [places]; None where not recorded.

    The emitted token's logit shortfall gives the ratio of its probability to the largest one.
    """
    tokens, temperature = evidence.rescored, evidence.settings.temperature
    if not len(tokens) or not temperature or evidence.columns.trees:
        return None
    keys, wanted = _key(tokens.round, tokens.slot), _key(places.round, places.index)
    order = np.argsort(keys, kind="stable")
    at = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    with np.errstate(over="ignore", invalid="ignore"):  # a token ruled out: left out below
        highest = tokens.target_prob[at] * np.exp(tokens.shortfall[at] / temperature)
    known = (keys[at] == wanted) & (tokens.target_prob[at] > 0)
    return np.where(known, np.minimum(highest, 1.0), places.target_prob)


def _key(rounds: Ints, level: Ints) -> Ints:
    return rounds * _MAX_LEVELS + level


def _or_own(other: Floats, own: Floats) -> Floats:
    """Return the other probabilities; the place's own where the other law is its own."""
    return np.where(np.isnan(other), own, other)


def _price(choices: int) -> float:
    """Return what it costs, in nats, to choose the best of so many."""
    return float(np.log(choices + 1))


def _with_one_coin(places: Places, ratio: Floats) -> Floats:
    """Return the chances where a round judges all its drafts by one uniform number, [places].

    A draft that is reached shows that the number lies below all ratios before it.
    """
    least, before, chances = 1.0, -1, np.empty(len(places))
    for row, (now, own) in enumerate(zip(places.round.tolist(), ratio.tolist(), strict=True)):
        least = least if now == before else 1.0
        chances[row] = min(1.0, own / max(least, NEVER_ZERO))
        least, before = min(least, own), now
    return chances


def _best_bar(values: Floats, came: Bools) -> float:
    """Return the bar that tells those values, [n], that came from the others best."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    right = np.append(0, np.cumsum(np.where(came[order], -1, 1)))  # of the values below the bar
    distinct = np.append(True, np.append(np.diff(ordered) > 0, True))
    at = int(np.where(distinct, right, -len(values) - 1).argmax())
    low = ordered[at - 1] if at else 0.0
    high = ordered[at] if at < len(ordered) else ordered[-1]
    return float(low + high) / 2 if at < len(ordered) else float(high)


def _best_factor(owed: Floats, came: Bools, choices: Floats) -> float:
    """Return the factor on what is owed, [n], that explains the coins best; refines a choice."""

    def fits(factor: float) -> float:
        return likelihood.log_likelihood(came, np.minimum(1, factor * owed))

    rough = max(range(len(choices)), key=lambda at: fits(float(choices[at])))
    low, high = choices[max(rough - 1, 0)], choices[min(rough + 1, len(choices) - 1)]
    fine: list[float] = np.linspace(low, high, FINE_STEPS).tolist()
    return max(fine, key=fits)
