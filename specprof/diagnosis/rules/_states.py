"""A model's wrong state in words: what all rules of state have in common.

Knows how a pattern of astray places is worded and measured. Which case of the catalogue leaves it
is each rule's own.
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

Who = Literal["target", "draft"]
Suspects = Callable[[Evidence, Pattern], tuple[str, ...]]
CHUNK: Final = 512
"""Tokens the native engine prefills at once."""
ROUNDED: Final = "see state-rounded"
REMEDY: Final = (
    "check that rollback leaves exactly the committed tokens, that position ids equal token "
    "indices, and that a verify block's rows don't see each other's future"
)


def judge(evidence: Evidence, who: Who, suspects: Suspects) -> Outcome:
    """Compare one model's laws as used with the recheck."""
    drift = evidence.ask(attribution.drift)
    side = drift.target if who == "target" else drift.draft
    if not len(side.gap):
        title = f"no answer of the {who}'s was recomputed"
        raise MissingEvidence(title, "nothing can say again what this drafter's law was")
    if side.p_value <= evidence.alpha and side.astray.any():
        if side.rounded:
            return Unknown(reason=f"the {who}'s answers are off, but as rounding has it; {ROUNDED}")
        return Found(finding=_finding(evidence, who, side, suspects))
    recorded = not np.isnan(getattr(evidence.pairs, f"{who}_gap")).all()
    off = f"laws {drift.noise.gap:.2%} apart" if recorded else _off(evidence, drift)
    return Clear(
        detectable=f"{off} in {drift.noise.share:.1%} of places; {len(side.gap):,} rechecked"
    )


def _off(evidence: Evidence, drift: attribution.Drift) -> str:
    if evidence.greedy:
        return "another first choice"
    return f"probabilities off by {drift.noise.probability:.1%}"


def _finding(evidence: Evidence, who: Who, side: Side, suspects: Suspects) -> Finding:
    pattern = localise(evidence, side)
    return Finding(
        message=f"the {who} decides from a wrong state {when(evidence, who, pattern)} "
        f"({_first(pattern)})",
        measures=(*_first_measures(who, pattern), *_measures(evidence, who, side, pattern)),
        remedy=REMEDY,
        confirm=("specprof run --stops 1 --context 1024",),
        rounds=first_rounds(side.round, side.astray),
        where=pattern.where,
        suspects=suspects(evidence, pattern)[:2],
        headline=True,
    )


def when(evidence: Evidence, who: Who, pattern: Pattern) -> str:
    """Say in words which places are astray."""
    said = list[str]()
    if pattern.since is not None:
        said.append(_since(evidence, who, pattern.since))
    if pattern.from_second:
        said.append("in every burst but the first")
    if pattern.branched_only:
        said.append("after tree nodes with siblings' branches before them")
    elif pattern.later_only:
        said.append("at every draft index but the first")
    if pattern.uneven_only:
        said.append("after two rounds of unlike numbers of accepted tokens")
    elif pattern.onset in {"rejection", "all-accepted"}:
        outcome = "a rejection" if pattern.onset == "rejection" else "an all-accepted round"
        said.append(
            f"{'from' if pattern.lasts else 'right after'} {outcome}{' on' * pattern.lasts}"
        )
    elif pattern.onset == "any round":
        said.append("once a burst's first round is over")
    return ", ".join(said) or "throughout"


def _since(evidence: Evidence, who: Who, since: tuple[int, int]) -> str:
    name = next((name for name, _ in known_lengths(evidence, who, since)), None)
    return f"from context {since[1]:,} on" + (f", {name}" if name else "")


def known_lengths(
    evidence: Evidence, who: Who, since: tuple[int, int]
) -> Sequence[tuple[str, int]]:
    """Return the configured lengths at which a fault that begins there would begin."""
    settings, header = evidence.settings, evidence.header
    facts = header.target if who == "target" else header.draft
    found = list[tuple[str, int]]()
    if windowed(settings, who):
        found.append(("where the window is full", settings.window))
        found.append(("where sinks and window are full", settings.sinks + settings.window))
    if facts and facts.window:
        found.append(("its layers' window", facts.window))
    if facts and facts.trained_context:
        found.append(("its trained context", facts.trained_context))
    found.append(("the length of a prefill chunk", CHUNK))
    slack = settings.depth + 2  # a place's context counts the drafts before it
    return [(name, length) for name, length in found if since[0] - slack <= length <= since[1]]


def windowed(settings: Settings, who: Who) -> bool:
    """Whether a model decodes over a cache that evicts."""
    return cache(settings, who) == "sink-window"


def cache(settings: Settings, who: Who) -> str:
    """Return the kind of a model's cache."""
    return settings.cache if who == "target" else settings.draft_cache or settings.cache


def _first(pattern: Pattern) -> str:
    where = pattern.where
    said = f"from round {where.round}, draft index {where.index}, context {where.context:,}"
    said += f", {where.event}: "
    if where.used is None or where.clean is None or where.used == where.clean:
        return said + f"the two laws {pattern.first_gap:.2f} apart"
    return said + f"used {where.used:.2g}, clean {where.clean:.2g}"


def _first_measures(who: Who, pattern: Pattern) -> list[Measure]:
    used, clean = pattern.where.used, pattern.where.clean
    if used is None or clean is None:
        return []
    name = f"{who}'s probability of the first drafted token astray"
    return [Measure(name=f"{name}, used", value=used), Measure(name=f"{name}, clean", value=clean)]


def _measures(evidence: Evidence, who: Who, side: Side, pattern: Pattern) -> list[Measure]:
    found = [
        Measure(name=f"{who} astray per rechecked place", value=pattern.share, n=len(side.gap)),
        Measure(name="median gap per astray place", value=pattern.size, n=int(side.astray.sum())),
    ]
    return found + _lost(evidence)


def _lost(evidence: Evidence) -> list[Measure]:
    """Return the state's bracket of the chain, where the rule in force has one."""
    try:
        chain = evidence.ask(attribution.attribute)
    except MissingEvidence:
        return []
    if chain.state is None:
        return []
    frac = chain.state.frac
    name = f"overlap lost per {chain.counted}"
    return [Measure(name=name, value=frac.value, n=chain.reached, low=frac.low, high=frac.high)]
