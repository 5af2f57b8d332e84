"""The one sentence: of what was rejected, how much is mismatch, how much is a bug, and which.

Of a run that scored known text, its perplexity.

Knows English and the chain's brackets. Speaks of a bracket only where its test speaks; rounds to
tenths of a point, which no interval here beats.
"""

from collections.abc import Sequence

from specprof.analysis import accept_laws, attribution, perplexity
from specprof.analysis.attribution import Attribution
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.findings import Family, Finding

NAMED = 2
"""Bugs told in the sentence; the others are in the list."""
NEARLY = 0.95
"""A burst's last drafts, cut off by a stop, are in no text and can't be rechecked."""


def sentence(
    evidence: Evidence,
    chain: Attribution | None,
    findings: Sequence[tuple[Family, Finding]],
    undermined: Finding | None,
    *,
    rechecked: bool = False,
) -> str:
    """Return the diagnosis in a sentence or a few: what was lost, why, what it costs.

    `findings` come with the leading one first. `rechecked`: the same run was made again and
    rechecked to its end, and nothing was astray.
    """
    bugs = [each.message for family, each in findings if family == "bug" and each.headline]
    causes = [each.message for family, each in findings if family != "bug" and each.headline]
    if chain:
        unseen = _unseen(evidence, chain, rechecked=rechecked)
        opening = _attributed(evidence, chain, bugs, unseen)
    else:
        opening = _unattributed(evidence)
    costs = [each.message for family, each in findings if family == "cost"]
    if causes and not bugs:
        opening += f" The mismatch: {'; '.join(causes)}."
    if costs:
        opening += f" Speed: {'; '.join(costs)}."
    if undermined:
        opening += f" Trust no estimate here: {undermined.message}."
    return f"{_damage(evidence)}{opening}"


def _damage(evidence: Evidence) -> str:
    """Say first what could not be read: what follows rests on the rest; empty where all could."""
    damage = evidence.columns.damaged.sentence()
    return f"{damage[0].upper()}{damage[1:]}. " if damage else ""


def _unattributed(evidence: Evidence) -> str:
    try:
        levels = evidence.reached.levels()
    except MissingEvidence as missing:
        nothing = "no round could be read" if evidence.columns.unreadable else missing.title
        return _scored(evidence) or f"Nothing to attribute: {nothing}."
    rejected = 1 - float(levels.accepted.mean())
    reached = "reached levels" if evidence.columns.trees else "reached drafted tokens"
    return (
        f"{rejected:.1%} of {len(levels):,} {reached} were rejected; which part is a "
        f"mismatch can't be said, because {_reason(evidence)}."
    )


def _reason(evidence: Evidence) -> str:
    try:
        evidence.ask(attribution.attribute)
    except MissingEvidence as missing:
        return missing.title
    return "this was not asked"


def _scored(evidence: Evidence) -> str | None:
    """Say the perplexity of a run that scored known text."""
    found, nll = perplexity.perplexity(evidence.columns), evidence.columns.scored.nll
    if found is None and len(nll):
        mean = f"{nll.mean():,.0f} nats a token"
        return f"The target gives the known text no chance: {mean} in the mean of {len(nll):,}."
    if found is None:
        return None
    spread = f"95% interval {found.low:,.2f} to {found.high:,.2f}"
    return f"Perplexity {found.value:,.2f} over {found.n:,} tokens of known text ({spread})."


def _attributed(evidence: Evidence, chain: Attribution, bugs: Sequence[str], unseen: str) -> str:
    rejected, mismatch = chain.rejected.frac.value, chain.mismatch.frac
    cause = "distribution mismatch"
    if evidence.header.acceptance == "exact-match":
        cause += " and the price of exact-match"
    broken = [part.frac for part in chain.brackets if (part.p_value or 0.0) <= evidence.alpha]
    draft = "level" if evidence.columns.trees else "draft"
    opening = f"Of {rejected:.1%} rejected {draft}s"
    if not broken:
        rest = f"all but noise is {cause} ({_points(mismatch.value)} points owed)"
        if not rejected:
            opening, rest = f"No {draft} was rejected", "and none was owed a rejection beyond noise"
        return f"{opening}, {rest}{_caveat(bugs, unseen)}."
    lost = sum(part.value for part in broken)
    low, high = sum(part.low for part in broken), sum(part.high for part in broken)
    spread = f"({_points(low)} to {_points(high)})"
    known = f": {_named(bugs)}" if bugs else ""
    closing = f" {unseen[0].upper()}{unseen[1:]}." if unseen else ""
    if not bugs and evidence.ask(accept_laws.equality_in_force):
        return (
            f"{opening}, {_points(mismatch.value)} points are {cause} and {_points(lost)} {spread} "
            f"the price of standing by equality, no bug.{closing}"
        )
    if lost >= 0:
        owed = f"({_points(mismatch.low)} to {_points(mismatch.high)})"
        return (
            f"{opening}, {_points(mismatch.value)} points {owed} are {cause} and {_points(lost)} "
            f"{spread} are an implementation bug{known}.{closing}"
        )
    return (
        f"{rejected:.1%} of {draft}s were rejected where {rejected - lost:.1%} should "
        f"have been: {_points(-lost)} points are let through by an implementation bug{known}."
        f"{closing}"
    )


def _named(bugs: Sequence[str]) -> str:
    """Name the leading bug and the next; of more, how many."""
    more = len(bugs) - NAMED
    return "; ".join(bugs[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _caveat(bugs: Sequence[str], unseen: str) -> str:
    """Say what else is broken, or how much a bug could have hidden."""
    if bugs:
        return f"; but the implementation is broken: {_named(bugs)}"
    return f"; {unseen or 'no implementation bug shows'}"


def _unseen(evidence: Evidence, chain: Attribution, *, rechecked: bool) -> str:
    """Say what of the models' states was not seen, and so may be wrong; empty: all was seen."""
    try:
        drift = evidence.ask(attribution.drift)
    except MissingEvidence:
        return "nothing was rechecked without a cache, so that may hold a wrong cache state"
    if not len(drift.draft.gap):
        return "the draft's own state could not be rechecked, so the mismatch may hold a wrong one"
    if chain.rechecked_frac < NEARLY and not rechecked:
        return f"the {1 - chain.rechecked_frac:.1%} not rechecked may hold a wrong state"
    return ""


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
