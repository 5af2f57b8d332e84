"""Runs every rule over the evidence, measurement rules first, and sums up in one sentence.

Knows how outcomes affect each other, not what a rule looks at. A rule that could not look says
Unknown and a rule that broke says Crashed; neither means that the run is healthy. All statistical
tests together accuse a healthy run with probability 1% at most (`evidence.FAMILY_ERROR`, divided
among them). They are always valid: asking again while a run goes on adds no error.
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
from specprof.decision_table import PLACE_WITHOUT_STAGE, place
from specprof.diagnosis.outcomes import check_outcome
from specprof.diagnosis.sentence import sentence
from specprof.errors import STOPPED, MissingEvidence, summarise_error
from specprof.extend import Rule
from specprof.findings import Clear, Crashed, Family, Finding, Found, Outcome, Unknown

FAMILY_ORDER: Final[tuple[Family, ...]] = (
    "measurement",
    "bug",
    "configuration",
    "mismatch",
    "cost",
)
"""The rules on whether the capture can be trusted come first, those on speed last."""
INCOMPLETE_RULE: Final = "capture-incomplete"
"""The rule that reports which parts of a capture could not be read."""
RECHECK_PROBE: Final = "recompute"
"""The probe that rechecks what a capture's own recheck left out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule made of the evidence."""

    rule: str
    family: Family
    outcome: Outcome
    place: float = PLACE_WITHOUT_STAGE
    """Place in the decision table: of several findings, the one with the lowest place leads."""
    undermines: bool = False
    """As `Rule.undermines`."""
    probe: bool = False
    """Whether a probe gave the verdict, not a rule: it then rests on further runs."""

    @property
    def finding(self) -> Finding | None:
        """The finding, where the rule fired."""
        return self.outcome.finding if isinstance(self.outcome, Found) else None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One capture's diagnosis."""

    capture: str
    """The name of the evidence, usually a path."""
    sentence: str
    attribution: Attribution | None
    """None where nothing was drafted or no probabilities were recorded."""
    waterfall: list[Factor] | None
    """From the ideal to the achieved speed-up; None where times are missing."""
    verdicts: tuple[Verdict, ...]
    """One for each rule, by family in `FAMILY_ORDER`, then by name; then one for each probe run."""
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
        """The finding to follow up first: the other findings may be consequences of it."""
        return min(self.found, key=lambda each: each.place, default=None)


def diagnose(evidence: Evidence, also: Iterable[Path] = ()) -> Diagnosis:
    """Judge the evidence by every rule of the registry and of the folders `also`."""
    verdicts = list[Verdict]()
    undermined: Finding | None = None
    silenced = dict[str, Finding]()
    for name, rule in _rules(tuple(also)):
        outcome = _judge(rule, evidence)
        if undermined and rule.statistical and not isinstance(outcome, Crashed):
            outcome = Unknown(reason=f"it can't be estimated here: {undermined.message}")
        if name in silenced and isinstance(outcome, Found):
            outcome = Unknown(reason=f"its numbers mean nothing here: {silenced[name].message}")
        if isinstance(outcome, Found):
            silenced |= dict.fromkeys(rule.silences, outcome.finding)
        if isinstance(outcome, Found) and rule.undermines:
            undermined = outcome.finding
        standing = place(name, rule.stage)
        verdicts.append(Verdict(name, rule.family, outcome, standing, rule.undermines))
    return sum_up(evidence, verdicts)


def sum_up(evidence: Evidence, verdicts: Sequence[Verdict]) -> Diagnosis:
    """Return the diagnosis that consists of these verdicts."""
    chain = _ask_or_none(evidence, attribution.attribute)
    factors = _ask_or_none(evidence, cost_model.waterfall)
    ranked = sorted(verdicts, key=lambda each: each.place)
    findings = [(each.family, each.finding) for each in ranked if each.finding]
    undermined = next((each.finding for each in verdicts if each.undermines and each.finding), None)
    rechecked = any(
        each.probe and each.rule == RECHECK_PROBE and isinstance(each.outcome, Clear)
        for each in verdicts
    )
    return Diagnosis(
        capture=evidence.name,
        sentence=sentence(evidence, chain, findings, undermined, rechecked=rechecked),
        attribution=chain,
        waterfall=factors,
        prospects=_ask_or_none(evidence, prospects),
        verdicts=tuple(verdicts),
        damaged=bool(evidence.columns.damaged),
        unreadable=evidence.columns.unreadable,
    )


def findings_so_far(columns: Columns) -> Diagnosis:
    """Diagnose a capture that is still being written, from its live columns.

    This takes tens of milliseconds at 1,000 rounds and a few hundred milliseconds at 20,000 rounds:
    call it from a worker.
    """
    return diagnose(Evidence(columns, live=columns.end is None))


def _ask_or_none(evidence: Evidence, question: Callable[[Evidence], Answer]) -> Answer | None:
    try:
        return evidence.ask(question)
    except MissingEvidence:
        return None


def _judge(rule: Rule, evidence: Evidence) -> Outcome:
    try:
        return check_outcome(rule.judge(evidence))
    except MissingEvidence as missing:
        return Unknown(reason=f"{missing.title}; {missing.hint}")
    except STOPPED:
        raise
    except BaseException as error:  # noqa: BLE001 - a broken rule must not hide the other rules
        return Crashed(error=summarise_error(error))


@cache
def _rules(also: tuple[Path, ...]) -> list[tuple[str, Rule]]:
    """Return every rule with its name, in the order in which the rules judge."""
    rules = registry.load_usable(Rule, also).items()
    return sorted(rules, key=lambda named: (FAMILY_ORDER.index(named[1].family), named[0]))
