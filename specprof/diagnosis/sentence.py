"""Writes the one sentence: how many drafts were rejected, and how much of that is a bug, and which.

For a run that scored known text it gives the perplexity.

Knows English and the attribution chain's brackets. It mentions a bracket only where the bracket's
test fires. It rounds to tenths of a point, because every interval here is wider than that.
"""

from collections.abc import Sequence

from specprof.analysis import accept_laws, attribution, perplexity
from specprof.analysis.attribution import Attribution
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.findings import Family, Finding

MAX_NAMED_BUGS = 2
"""The list of findings names the other bugs."""
FULLY_RECHECKED = 0.95
"""Below 1, because a stop cuts off a burst's last drafts, and those can't be rechecked."""


def sentence(
    evidence: Evidence,
    chain: Attribution | None,
    findings: Sequence[tuple[Family, Finding]],
    undermined: Finding | None,
    *,
    mistimed: Finding | None = None,
    rechecked: bool = False,
) -> str:
    """Return the diagnosis in one or a few sentences: what was lost, why, and what it costs.

    In `findings` the leading one comes first. `undermined` says why no estimate can be trusted,
    `mistimed` why no time can. `rechecked` says that the same run was made again and rechecked to
    its end, and that no state was wrong.
    """
    bugs = [each.message for family, each in findings if family == "bug" and each.headline]
    causes = [each.message for family, each in findings if family != "bug" and each.headline]
    if chain:
        unseen = _say_unseen(evidence, chain, rechecked=rechecked)
        opening = _say_attribution(evidence, chain, bugs, unseen, doubted=undermined is not None)
    else:
        opening = _say_unattributed(evidence)
    costs = [each.message for family, each in findings if family == "cost"]
    if causes and not bugs:
        opening += f" The mismatch: {'; '.join(causes)}."
    if costs:
        opening += f" Speed: {'; '.join(costs)}."
    if undermined:
        opening += f" Trust no estimate here: {undermined.message}."
    if mistimed:
        opening += f" Trust no time here: {mistimed.message}."
    return f"{_say_damage(evidence)}{opening}"


def _say_damage(evidence: Evidence) -> str:
    """Say which lines could not be read; empty where all could be read."""
    damage = evidence.columns.damaged.sentence()
    return f"{damage[0].upper()}{damage[1:]}. " if damage else ""


def _say_unattributed(evidence: Evidence) -> str:
    try:
        levels = evidence.reached.levels()
    except MissingEvidence as missing:
        nothing = "no round could be read" if evidence.columns.unreadable else missing.title
        return _say_perplexity(evidence) or f"Nothing to attribute: {nothing}."
    rejected = 1 - float(levels.accepted.mean())
    reached = "reached levels" if evidence.columns.trees else "reached drafted tokens"
    return (
        f"{rejected:.1%} of {len(levels):,} {reached} were rejected; which part of that is "
        f"mismatch can't be said, because {_say_reason(evidence)}."
    )


def _say_reason(evidence: Evidence) -> str:
    try:
        evidence.ask(attribution.attribute)
    except MissingEvidence as missing:
        return missing.title
    return "the attribution was not asked for"


def _say_perplexity(evidence: Evidence) -> str | None:
    """Return a sentence with the perplexity of a run that scored known text."""
    found, nll = perplexity.perplexity(evidence.columns), evidence.columns.scored.nll
    if found is None and len(nll):
        mean = f"{nll.mean():,.0f} nats a token on average over {len(nll):,} tokens"
        return f"The target gives the known text next to no probability: {mean}."
    if found is None:
        return None
    spread = f"95% interval {found.low:,.2f} to {found.high:,.2f}"
    return f"Perplexity {found.value:,.2f} over {found.n:,} tokens of known text ({spread})."


def _say_attribution(
    evidence: Evidence, chain: Attribution, bugs: Sequence[str], unseen: str, *, doubted: bool
) -> str:
    rejected, mismatch = chain.rejected.frac.value, chain.mismatch.frac
    cause = "distribution mismatch"
    if evidence.header.acceptance == "exact-match":
        cause += " and the cost of exact-match"
    broken = [part.frac for part in chain.brackets if (part.p_value or 0.0) <= evidence.alpha]
    if doubted and not bugs:  # no estimate is to be trusted, so none accuses
        broken = []
    draft = "level" if evidence.columns.trees else "draft"
    opening = f"{rejected:.1%} of reached {draft}s were rejected"
    if not broken:
        rest = f"apart from noise, all of it is {cause} ({_points(mismatch.value)} points expected)"
        if not rejected:
            opening, rest = f"No {draft} was rejected", "beyond noise none should have been"
        return f"{opening}; {rest}{_say_caveat(bugs, unseen)}."
    lost = sum(part.value for part in broken)
    low, high = sum(part.low for part in broken), sum(part.high for part in broken)
    spread = f"({_points(low)} to {_points(high)})"
    known = f": {_name_bugs(bugs)}" if bugs else ""
    closing = f" {unseen[0].upper()}{unseen[1:]}." if unseen else ""
    if not bugs and evidence.ask(accept_laws.equality_in_force):
        return (
            f"{opening}: {_points(mismatch.value)} points are {cause} and {_points(lost)} {spread} "
            f"are the cost of accepting by equality, which is no bug.{closing}"
        )
    if lost >= 0:
        owed = f"({_points(mismatch.low)} to {_points(mismatch.high)})"
        return (
            f"{opening}: {_points(mismatch.value)} points {owed} are {cause} and {_points(lost)} "
            f"{spread} are an implementation bug{known}.{closing}"
        )
    return (
        f"{opening} where {rejected - lost:.1%} should have been: an implementation bug lets "
        f"{_points(-lost)} points through{known}.{closing}"
    )


def _name_bugs(bugs: Sequence[str]) -> str:
    """Name the first `MAX_NAMED_BUGS` bugs, and say how many more there are."""
    more = len(bugs) - MAX_NAMED_BUGS
    return "; ".join(bugs[:MAX_NAMED_BUGS]) + (f"; and {more} more" if more > 0 else "")


def _say_caveat(bugs: Sequence[str], unseen: str) -> str:
    """Say what else is broken, or which places a bug may still be in."""
    if bugs:
        return f"; but the implementation is broken: {_name_bugs(bugs)}"
    return f"; {unseen or 'no implementation bug shows'}"


def _say_unseen(evidence: Evidence, chain: Attribution, *, rechecked: bool) -> str:
    """Say which of the models' states were not rechecked; empty where all were."""
    try:
        drift = evidence.ask(attribution.drift)
    except MissingEvidence:
        return "nothing was rechecked, so a wrong cache state may be part of the mismatch"
    if not len(drift.draft.gap):
        return (
            "the draft's own state could not be rechecked, so a wrong one may be part of "
            "the mismatch"
        )
    if chain.rechecked_frac < FULLY_RECHECKED and not rechecked:
        return f"the {1 - chain.rechecked_frac:.1%} that were not rechecked may hold a wrong state"
    return ""


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
