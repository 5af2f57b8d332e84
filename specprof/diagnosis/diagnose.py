"""Runs every rule over the evidence, measurement rules first, and sums up in one sentence.

Knows how outcomes bear on each other, not what any rule looks at. Silence is not health: a rule
that could not look says Unknown, one that broke says Crashed. The statistical tests together
accuse a healthy run with probability 1% at most (`evidence.FAMILY_ERROR`, divided among them);
they are always valid, so asking again while a run goes on costs nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from specprof import registry
from specprof.analysis import attribution, cost_model
from specprof.analysis.attribution import Attribution
from specprof.analysis.columns import Columns
from specprof.analysis.cost_model import Factor
from specprof.analysis.evidence import Answer, Evidence
from specprof.analysis.remedies import Prospects, prospects
from specprof.decision_table import LAST, place
from specprof.diagnosis.outcomes import sound
from specprof.diagnosis.sentence import sentence
from specprof.errors import STOPPED, MissingEvidence, summarise_error
from specprof.extend import Rule
from specprof.findings import Clear, Crashed, Family, Finding, Found, Outcome, Unknown

ORDER: Final[tuple[Family, ...]] = ("measurement", "bug", "configuration", "mismatch", "cost")
"""Whether to trust the capture comes first, then what is broken, then what is merely costly."""
INCOMPLETE: Final = "capture-incomplete"
"""The rule that says what of a capture could not be read."""
RECHECKS: Final = "recompute"
"""The probe that rechecks what a capture's own recheck left out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule made of the evidence."""

    rule: str
    family: Family
    outcome: Outcome
    place: float = LAST
    """In the decision table: of several findings the lowest leads."""
    undermines: bool = False
    """As `Rule.undermines`."""
    probe: bool = False
    """Whether a probe said it, and not a rule: further runs stand behind it."""

    @property
    def finding(self) -> Finding | None:
        """The finding, where the rule fired."""
        return self.outcome.finding if isinstance(self.outcome, Found) else None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One capture's diagnosis."""

    capture: str
    """The name the evidence was given: a path, as a rule."""
    sentence: str
    attribution: Attribution | None
    """None where nothing was drafted or no probabilities were recorded."""
    waterfall: list[Factor] | None
    """From the ideal to the achieved speed-up; None where times are missing."""
    verdicts: tuple[Verdict, ...]
    """One a rule, families in `ORDER`, rules by name; then one a probe that was run."""
    prospects: Prospects | None = None
    """What each remedy would gain; None where times are missing."""
    damaged: bool = False
    """Whether lines of the capture could not be read."""
    unreadable: str | None = None
    """Why nothing can be judged, where lines are damaged and no result could be read."""

    @property
    def found(self) -> tuple[Verdict, ...]:
        """The rules that fired."""
        return tuple(each for each in self.verdicts if each.finding)

    @property
    def leading(self) -> Verdict | None:
        """The finding to follow up first: what the others may be mere consequences of."""
        return min(self.found, key=lambda each: each.place, default=None)


def diagnose(evidence: Evidence, also: Iterable[Path] = ()) -> Diagnosis:
    """Judge the evidence by every rule the registry finds, there and in the folders `also`."""
    verdicts = list[Verdict]()
    undermined: Finding | None = None
    for name, rule in _rules(tuple(also)):
        outcome = _judged(rule, evidence)
        if undermined and rule.statistical and not isinstance(outcome, Crashed):
            outcome = Unknown(reason=f"not to be estimated here: {undermined.message}")
        if isinstance(outcome, Found) and rule.undermines:
            undermined = outcome.finding
        standing = place(name, rule.stage)
        verdicts.append(Verdict(name, rule.family, outcome, standing, rule.undermines))
    return summed_up(evidence, verdicts)


def summed_up(evidence: Evidence, verdicts: Sequence[Verdict]) -> Diagnosis:
    """Return the diagnosis these verdicts make."""
    chain = _asked(evidence, attribution.attribute)
    factors = _asked(evidence, cost_model.waterfall)
    ranked = sorted(verdicts, key=lambda each: each.place)
    findings = [(each.family, each.finding) for each in ranked if each.finding]
    undermined = next((each.finding for each in verdicts if each.undermines and each.finding), None)
    rechecked = any(
        each.probe and each.rule == RECHECKS and isinstance(each.outcome, Clear)
        for each in verdicts
    )
    return Diagnosis(
        capture=evidence.name,
        sentence=sentence(evidence, chain, findings, undermined, rechecked=rechecked),
        attribution=chain,
        waterfall=factors,
        prospects=_asked(evidence, prospects),
        verdicts=tuple(verdicts),
        damaged=bool(evidence.columns.damaged),
        unreadable=evidence.columns.unreadable,
    )


def findings_so_far(columns: Columns) -> Diagnosis:
    """Diagnose a capture that is still being written, from its live columns.

    Costs tens of milliseconds at a thousand rounds and a few hundred at 20k: call it from a worker.
    """
    return diagnose(Evidence(columns, live=columns.end is None))


def _asked(evidence: Evidence, question: Callable[[Evidence], Answer]) -> Answer | None:
    try:
        return evidence.ask(question)
    except MissingEvidence:
        return None


def _judged(rule: Rule, evidence: Evidence) -> Outcome:
    try:
        return sound(rule.judge(evidence))
    except MissingEvidence as missing:
        return Unknown(reason=f"{missing.title}; {missing.hint}")
    except STOPPED:
        raise
    except BaseException as error:  # noqa: BLE001 - one broken rule must not hide the others
        return Crashed(error=summarise_error(error))


@cache
def _rules(also: tuple[Path, ...]) -> list[tuple[str, Rule]]:
    """Return every rule by name, in the order they are to judge."""
    rules = registry.load_usable(Rule, also).items()
    return sorted(rules, key=lambda named: (ORDER.index(named[1].family), named[0]))
