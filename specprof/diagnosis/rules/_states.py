"""Words a model's wrong state: what the rules of the two states have in common.

Knows how a pattern of wrong places is worded and measured. Each rule knows itself which cases of
the catalogue leave that pattern.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.attribution import Side
from specprof.analysis.evidence import Evidence
from specprof.analysis.localise import Pattern, localise
from specprof.analysis.tables import first_rounds
from specprof.errors import MissingEvidence
from specprof.findings import Clear, Finding, Found, Measure, Outcome, Unknown
from specprof.settings import Settings

Role = Literal["target", "draft"]
Suspects = Callable[[Evidence, Pattern], tuple[str, ...]]
PREFILL_CHUNK_TOKENS: Final = 512
"""Of the native engine."""

REMEDY: Final = (
    "check that rollback leaves exactly the committed tokens, that position ids equal token "
    "indices, and that no row of a verify pass attends to later rows"
)


def judge(evidence: Evidence, role: Role, suspects: Suspects) -> Outcome:
    """Compare one model's laws as used with the recheck."""
    drift = evidence.ask(attribution.drift)
    side = drift.target if role == "target" else drift.draft
    if not len(side.gap):
        title = f"none of the {role}'s answers was recomputed"
        raise MissingEvidence(title, "this drafter's law can't be recomputed from the text")
    if side.p_value <= evidence.alpha and side.astray.any():
        if side.rounded:
            off = f"the {role}'s answers are off, but only as rounding moves them"
            return Unknown(reason=f"{off}; see state-rounded")
        return Found(finding=_finding(evidence, role, side, suspects))
    recorded = not np.isnan(getattr(evidence.pairs, f"{role}_gap")).all()
    off = f"laws {drift.noise.gap:.2%} apart" if recorded else _say_smallest(evidence, drift)
    return Clear(
        detectable=f"{off} in {drift.noise.share:.1%} of places; {len(side.gap):,} were rechecked"
    )


def _say_smallest(evidence: Evidence, drift: attribution.Drift) -> str:
    if evidence.greedy:
        return "another first choice"
    return f"probabilities off by {drift.noise.probability:.1%}"


def _finding(evidence: Evidence, role: Role, side: Side, suspects: Suspects) -> Finding:
    pattern = localise(evidence, side)
    return Finding(
        message=f"the {role} decides from a wrong state {say_when(evidence, role, pattern)} "
        f"({_say_first(pattern)})",
        measures=(*_first_measures(role, pattern), *_measures(evidence, role, side, pattern)),
        remedy=REMEDY,
        confirm=("specprof run --stops 1 --context 1024",),
        rounds=first_rounds(side.round, side.astray),
        where=pattern.where,
        suspects=suspects(evidence, pattern)[:2],
        headline=True,
        model=role,
    )


def say_when(evidence: Evidence, role: Role, pattern: Pattern) -> str:
    """Say in words at which places the state is wrong."""
    parts = list[str]()
    if pattern.since is not None:
        parts.append(_say_since(evidence, role, pattern.since))
    if pattern.from_second:
        parts.append("in every burst but the first")
    if pattern.branched_only:
        parts.append("after tree nodes that follow branches of their siblings")
    elif pattern.later_only:
        parts.append("at every draft index but the first")
    if pattern.uneven_only:
        parts.append("after two rounds that accepted different numbers of tokens")
    elif pattern.onset in {"rejection", "all-accepted"}:
        outcome = "a rejection" if pattern.onset == "rejection" else "an all-accepted round"
        parts.append(
            f"{'from' if pattern.lasts else 'right after'} {outcome}{' on' * pattern.lasts}"
        )
    elif pattern.onset == "any round":
        parts.append("after a burst's first round")
    return ", ".join(parts) or "throughout"


def _say_since(evidence: Evidence, role: Role, since: tuple[int, int]) -> str:
    name = next((name for name, _ in known_lengths(evidence, role, since)), None)
    return f"from context {since[1]:,} on" + (f" ({name})" if name else "")


def known_lengths(
    evidence: Evidence, role: Role, since: tuple[int, int]
) -> Sequence[tuple[str, int]]:
    """Return the configured lengths that lie where a fault begins, each with its name."""
    settings, header = evidence.settings, evidence.header
    facts = header.target if role == "target" else header.draft
    found = list[tuple[str, int]]()
    if is_windowed(settings, role):
        found.append(("where the window is full", settings.window))
        found.append(("where sinks and window are full", settings.sinks + settings.window))
    if facts and facts.window:
        found.append(("the window of its layers", facts.window))
    if facts and facts.trained_context:
        found.append(("its trained context", facts.trained_context))
    found.append(("the length of a prefill chunk", PREFILL_CHUNK_TOKENS))
    slack = settings.depth + 2  # a place's context counts the drafts before it
    return [(name, length) for name, length in found if since[0] - slack <= length <= since[1]]


def is_windowed(settings: Settings, role: Role) -> bool:
    """Return whether a model decodes over a cache that evicts."""
    return cache_kind(settings, role) == "sink-window"


def cache_kind(settings: Settings, role: Role) -> str:
    """Return the kind of a model's cache."""
    return settings.cache if role == "target" else settings.draft_cache or settings.cache


def _say_first(pattern: Pattern) -> str:
    where = pattern.where
    text = f"first in round {where.round}, draft index {where.index}, context {where.context:,}"
    text += f", {where.event}: "
    if where.used is None or where.clean is None or where.used == where.clean:
        return text + f"the laws used and recomputed are {pattern.first_gap:.2f} apart"
    return text + f"{where.used:.2g} used, {where.clean:.2g} recomputed"


def _first_measures(role: Role, pattern: Pattern) -> list[Measure]:
    used, clean = pattern.where.used, pattern.where.clean
    if used is None or clean is None:
        return []
    name = f"{role}'s probability of the first drafted token astray"
    return [Measure(name=f"{name}, used", value=used), Measure(name=f"{name}, clean", value=clean)]


def _measures(evidence: Evidence, role: Role, side: Side, pattern: Pattern) -> list[Measure]:
    found = [
        Measure(name=f"{role} astray per rechecked place", value=pattern.share, n=len(side.gap)),
        Measure(name="median gap per astray place", value=pattern.size, n=int(side.astray.sum())),
    ]
    return found + _lost_overlap(evidence)


def _lost_overlap(evidence: Evidence) -> list[Measure]:
    """Return the acceptance lost to the state, where the attribution has it."""
    try:
        chain = evidence.ask(attribution.attribute)
    except MissingEvidence:
        return []
    if chain.state is None:
        return []
    frac = chain.state.frac
    name = f"overlap lost per {chain.counted}"
    return [Measure(name=name, value=frac.value, n=chain.reached, low=frac.low, high=frac.high)]
