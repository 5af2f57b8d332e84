"""Finds what is wrong with corrections and bonuses, and the known case that leaves these signs."""

from collections.abc import Callable

import numpy as np

from specprof.analysis import attribution, emitted_law
from specprof.analysis.emitted_law import Draw, Finals
from specprof.analysis.evidence import Evidence
from specprof.analysis.rounding import MAX_RATIO_ERROR
from specprof.analysis.tables import Bools
from specprof.diagnosis.rules._accept_kinds import uses_another_target
from specprof.errors import MissingEvidence
from specprof.findings import Where

MIN_EVIDENCE_SHARE = 0.5
"""Share of an alarm's log-evidence that a second sign needs to count as well."""


def find_unsupported(evidence: Evidence, found: Finals) -> Bools:
    """Mark the corrections that the residual gives no mass, [finals]."""
    lawful = evidence.greedy | ~(
        found.target_prob < found.draft_prob * (1 - MAX_RATIO_ERROR)  # nan, of a bonus, is lawful
    )
    due = found.correction & ~_rejected_a_certain_draft(evidence, found)
    return (found.again & due) | (~lawful & due)


def explain(evidence: Evidence) -> tuple[str, tuple[str, ...]]:
    """Return in words what is wrong with the final tokens, and the cases that fit."""
    found, settings = evidence.ask(emitted_law.finals), evidence.settings
    after, free = evidence.ask(emitted_law.corrections), evidence.ask(emitted_law.bonuses)
    wrong = find_unsupported(evidence, found).any()
    outside = found.target_prob == 0
    bad = {
        "corrections": wrong or after.p_value <= evidence.alpha,
        "bonuses": free.p_value <= evidence.alpha or bool(outside[~found.correction].any()),
    }
    if _is_judged_by_another_target(evidence):
        text = "corrections and bonuses follow the law that the accept step judges by, and not the"
        return f"{text} declared one", ("accept/target-not-filtered",)
    filtered = settings.top_k > 0 or settings.top_p < 1
    if all(bad.values()) and (filtered or settings.temperature != 1):
        return (
            "corrections and bonuses are drawn from another law than the target's processed one",
            ("accept/target-not-filtered",),
        )
    if bad["bonuses"] and not bad["corrections"]:
        return "bonuses are not drawn from the target's law", ("accept/bonus-from-draft",)
    return _corrections(evidence, after, wrong=bool(wrong))


def _is_judged_by_another_target(evidence: Evidence) -> bool:
    """Return whether the accept step is unfair because its target law is not the declared one."""
    try:
        coins = evidence.ask(attribution.coins)
    except MissingEvidence:  # a rule that owes no draft anything
        return False
    certain = len(coins.accepted_wrongly) + len(coins.rejected_wrongly)
    unfair = certain > 0 or coins.trial.p_value <= evidence.alpha
    return unfair and uses_another_target(evidence, coins)


def find_first(evidence: Evidence, wanted: Callable[[Finals], Bools]) -> Where | None:
    """Return the place of the first final token that `wanted` marks."""
    found = evidence.ask(emitted_law.finals)
    rows = np.flatnonzero(wanted(found))
    if not len(rows):
        return None
    row = rows[0]
    return Where(
        round=int(found.round[row]),
        context=int(found.context[row]),
        event="after a rejection" if found.correction[row] else "after an all-accepted round",
        used=float(found.target_prob[row]),
        clean=None,
    )


def _corrections(evidence: Evidence, after: Draw, *, wrong: bool) -> tuple[str, tuple[str, ...]]:
    best = evidence.ask(emitted_law.correction_law)
    name = best.name if best else "residual"
    reused = after.order.log_evidence > MIN_EVIDENCE_SHARE * after.rank.log_evidence
    if not wrong and reused and name == "residual":
        return (
            "corrections lie too far up the cumulated residual: their random number is not fresh",
            ("rng/accept-uniform-reused",),
        )
    if name == "softmax of the residual":
        return (
            "corrections come from a softmax over the residual, which gives every token mass",
            ("accept/residual-softmaxed",),
        )
    if name == "draft":
        return "corrections are drawn from the draft's law", ("accept/residual-not-subtracted",)
    if name.startswith("target"):
        return (
            "corrections are drawn from the target's law, and the draft's is not subtracted",
            ("accept/residual-not-subtracted",),
        )
    way = "likelier" if after.rank.mean < 0 else "unlikelier"
    return (
        f"corrections are {way} under the residual law than draws from it would be",
        ("accept/residual-not-subtracted", "accept/residual-softmaxed") if wrong else (),
    )


def _rejected_a_certain_draft(evidence: Evidence, found: Finals) -> Bools:
    """Mark the rounds that rejected a draft which had to be accepted, [finals]."""
    places = evidence.reached
    sure = places.where(~places.accepted & (places.accept_owed >= 1 - MAX_RATIO_ERROR))
    return (evidence.per_round(sure.round, np.ones(len(sure))) > 0)[found.row]
