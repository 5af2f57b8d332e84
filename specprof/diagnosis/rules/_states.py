"""Words a model's wrong state: what the rules of the two states have in common.

Knows how a pattern of wrong places is worded and measured. Each rule knows itself which cases of
the catalogue leave that pattern.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.attribution import Side
from specprof.analysis.contrasts import Wholes
from specprof.analysis.evidence import Evidence
from specprof.analysis.localise import Pattern, localise
from specprof.analysis.onset import SAID
from specprof.analysis.tables import first_rounds
from specprof.errors import MissingEvidence
from specprof.findings import Clear, Finding, Found, Measure, Outcome, Unknown
from specprof.settings import Settings

Role = Literal["target", "draft"]
Suspects = Callable[[Evidence, Pattern], tuple[str, ...]]
MAX_NAMED_REQUESTS: Final = 5
PREFILL_CHUNK_TOKENS: Final = 512
"""Of the native engine."""

REMEDY: Final = (
    "check that rollback leaves exactly the committed tokens, that position ids equal token "
    "indices, and that no row of a verify pass attends to later rows"
)

FEED_REMEDY: Final = (
    "feed the last committed token first in every round: take it from the committed text, not from "
    "what another round left"
)
FED: Final[dict[str, str]] = {
    "last but one": "the last token but one was fed in place of the last",
    "nothing": "the last committed token was not fed",
    "last twice": "the last committed token was fed twice",
    "rejected draft": "the rejected draft was fed in place of its correction",
}
MIN_INPUT_SHARE: Final = 0.5
"""Of the bursts that are astray: in so many the same other token must explain the first row."""


@dataclass(frozen=True, slots=True)
class FedWrongly:
    """The token whose feeding explains bursts' first wrong rows."""

    fed: str
    """A key of `FED`."""
    explained: int
    """Bursts whose first wrong row it explains."""
    astray: int
    """Bursts with wrong rows."""


def find_other_input(evidence: Evidence, role: Role) -> FedWrongly | None:
    """Return the token that was fed in place of the last one, as far as the recheck found it."""
    drift = evidence.ask(attribution.drift)
    side = drift.target if role == "target" else drift.draft
    rounds = np.unique(side.round[side.astray])
    bursts: list[int] = evidence.rounds.burst[evidence.row(rounds)].tolist()
    burst, astray = dict(zip(rounds.tolist(), bursts, strict=True)), set(bursts)
    first = {  # one for each burst, whatever a hostile file repeats
        burst[each.round]: each.fed
        for each in evidence.columns.other_inputs
        if each.model == role and each.round in burst
    }
    known = list(first.values())
    if not known:
        return None
    fed = max(sorted(set(known)), key=known.count)
    count = known.count(fed)
    return FedWrongly(fed, count, len(astray)) if count >= MIN_INPUT_SHARE * len(astray) else None


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
    fed = find_other_input(evidence, role)
    return Finding(
        message=f"the {role} decides from a wrong "
        f"{'input' if fed else 'state'} {say_when(evidence, role, pattern)} "
        f"({_say_first(pattern)}{_say_fed(fed) if fed else ''})",
        measures=(*_first_measures(role, pattern), *_measures(evidence, role, side, pattern)),
        remedy=FEED_REMEDY if fed else REMEDY,
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
    parts += [each for each in (_say_which(pattern), _say_rows(pattern)) if each]
    if not _say_which(pattern) and (begin := _say_begin(pattern)):
        parts.append(begin)
    if parts:
        return ", ".join(parts)
    if pattern.throughout:
        return "throughout"
    return f"in {pattern.share:.0%} of the rechecked places, and no single event separates them"


def _say_which(pattern: Pattern) -> str:
    """Say which requests, or rounds of which kind, are astray; empty where all kinds are."""
    if pattern.from_second:
        return "in every burst but the first"
    if pattern.wholes:
        return _say_wholes(pattern.wholes)
    if pattern.batch:
        bound, size = pattern.batch
        return f"while at {bound} {size} sequences are decoded together"
    if pattern.at_wraps:
        return "right where the window wraps"
    return "in a burst's first round only" if pattern.start_only else ""


def _say_wholes(wholes: Wholes) -> str:
    """Name the requests or sequences that are astray as a whole, the first ones by number."""
    shown = [str(each) for each in wholes.numbers[:MAX_NAMED_REQUESTS]]
    more = len(wholes.numbers) - len(shown)
    listed = [*shown, f"{more} more"] if more else shown
    several = f"{', '.join(listed[:-1])} and {listed[-1]}" if len(listed) > 1 else listed[0]
    name = f"{wholes.of}{'s' * (len(listed) > 1)}"
    return f"in {name} {several} of {wholes.count} (the first is 1), whole"


def _say_rows(pattern: Pattern) -> str:
    """Say which rows of a verify pass, or which drafts of a round, are astray."""
    if pattern.branched_only:
        return "after tree nodes that follow branches of their siblings"
    if pattern.last_row_only:
        return "only in the row after the last draft"
    if pattern.only_index is not None:
        return f"at draft index {pattern.only_index} only"
    return "at every draft index but the first" if pattern.later_only else ""


def _say_begin(pattern: Pattern) -> str:
    """Say after which event the state goes wrong."""
    if pattern.uneven_only:
        return "after two rounds that accepted different numbers of tokens"
    if event := SAID.get(pattern.onset):
        return f"from {event} on" if pattern.lasts else f"right after {event}"
    return "after a burst's first round" if pattern.onset == "any round" else ""


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
    shown = [None if each is None else f"{each:.2g}" for each in (where.used, where.clean)]
    if None in shown or shown[0] == shown[1]:  # the fault shows at other tokens
        return text + f"the laws used and recomputed are {pattern.first_gap:.2g} apart"
    return text + f"{shown[0]} used, {shown[1]} recomputed"


def _say_fed(found: FedWrongly) -> str:
    """Say which token explains the first wrong rows."""
    bursts = f"{found.explained} of {found.astray} bursts"
    return f"; {FED[found.fed]}: fed so, the first wrong row of {bursts} comes out as it was used"


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
