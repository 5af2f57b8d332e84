"""Runs every rule over the evidence, measurement rules first, and sums up in one sentence.

Knows how outcomes affect each other, not what a rule looks at. A rule that could not look says
Unknown and a rule that broke says Crashed; neither means that the run is healthy. All statistical
tests together accuse a healthy run with probability 1% at most (`evidence.FAMILY_ERROR`, divided
among them). They are always valid: asking again while a run goes on adds no error.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
from specprof.decision_table import place
from specprof.diagnosis.outcomes import check_outcome
from specprof.diagnosis.sentence import sentence
from specprof.diagnosis.verdict import Verdict, stand_down
from specprof.errors import STOPPED, MissingEvidence, summarise_error
from specprof.extend import Rule
from specprof.findings import Clear, Crashed, Family, Finding, Found, Outcome, Unknown
from specprof.limits import RECORDED_BACKEND

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
CONFIRM_SECTION: Final = re.compile(r"^Confirm\n((?: +\S.*\n)+)", re.MULTILINE)
"""Of a rule's docstring."""
RECHECK_PROBE: Final = "recompute"
"""The probe that rechecks what a capture's own recheck left out."""


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
    """What each remedy would gain; None where times are missing or can't be trusted."""
    damaged: bool = False
    """Whether lines of the capture could not be read."""
    unreadable: str | None = None
    """Why nothing can be judged, where lines are damaged and no result could be read."""

    @property
    def found(self) -> tuple[Verdict, ...]:
        """The rules that fired, without those that another finding explains."""
        return tuple(each for each in self.verdicts if each.finding)

    def explained(self, verdict: Verdict) -> tuple[Verdict, ...]:
        """Return the verdicts that a finding explains."""
        return tuple(each for each in self.verdicts if each.cause == verdict.rule)

    @property
    def leading(self) -> Verdict | None:
        """The finding to follow up first: the other findings may be consequences of it.

        A probe's finding leads a rule's bug only if it is a bug itself.
        """
        bugs = any(each.family == "bug" and not each.probe for each in self.found)
        able = [each for each in self.found if not (bugs and each.probe and each.family != "bug")]
        return min(able, key=lambda each: each.place, default=None)


def diagnose(evidence: Evidence, also: Iterable[Path] = ()) -> Diagnosis:
    """Judge the evidence by every rule of the registry and of the folders `also`."""
    verdicts = list[Verdict]()
    fired = list[tuple[Rule, Finding]]()
    for name, rule in _rules(tuple(also)):
        outcome = _name_experiment(rule, _judge(rule, evidence), evidence)
        outcome = _withhold(name, rule, outcome, fired)
        if isinstance(outcome, Found):
            fired.append((rule, outcome.finding))
        verdicts.append(
            Verdict(
                name,
                rule.family,
                outcome,
                place(name, rule.stage),
                undermines=rule.undermines,
                undermines_times=rule.undermines_times,
                explained_by=rule.explained_by,
                rests_on=rule.rests_on,
            )
        )
    return sum_up(evidence, verdicts)


def _name_experiment(rule: Rule, outcome: Outcome, evidence: Evidence) -> Outcome:
    """Return the outcome; of a user's own loop with the experiment to make, in words.

    A command runs specprof's engine, and its outcome says nothing of another loop.
    """
    header = evidence.columns.header
    own = header is not None and header.spec.settings.backend == RECORDED_BACKEND
    if not own or not isinstance(outcome, Found) or not outcome.finding.confirm:
        return outcome
    text = getattr(sys.modules.get(type(rule).__module__), "__doc__", None) or ""
    section = CONFIRM_SECTION.search(text)
    if section is None:
        return outcome
    words = f"in your own loop: {' '.join(section[1].split())}"
    return Found(finding=replace(outcome.finding, confirm=(words,)))


def _withhold(
    name: str, rule: Rule, outcome: Outcome, fired: Sequence[tuple[Rule, Finding]]
) -> Outcome:
    """Return the outcome, or Unknown where a finding of an earlier rule undermines it."""
    if isinstance(outcome, Crashed):
        return outcome
    for other, finding in reversed(fired):
        of_times = other.undermines_times and rule.judges_times
        if of_times or (other.undermines and rule.statistical):
            return Unknown(reason=f"it can't be estimated here: {finding.message}")
        if name in other.silences and isinstance(outcome, Found):
            return Unknown(reason=f"its numbers mean nothing here: {finding.message}")
    return outcome


def sum_up(evidence: Evidence, verdicts: Sequence[Verdict]) -> Diagnosis:
    """Return the diagnosis that consists of these verdicts; consequences of others stand down."""
    verdicts = stand_down(verdicts)
    chain = _ask_or_none(evidence, attribution.attribute)
    factors = _ask_or_none(evidence, cost_model.waterfall)
    ranked = sorted(verdicts, key=lambda each: each.place)
    findings = [(each.family, each.finding) for each in ranked if each.finding]
    undermined = next((each.finding for each in verdicts if each.undermines and each.finding), None)
    mistimed = next(
        (each.finding for each in verdicts if each.undermines_times and each.finding), None
    )
    rechecked = any(
        each.probe and each.rule == RECHECK_PROBE and isinstance(each.outcome, Clear)
        for each in verdicts
    )
    return Diagnosis(
        capture=evidence.name,
        sentence=sentence(
            evidence, chain, findings, undermined, mistimed=mistimed, rechecked=rechecked
        ),
        attribution=chain,
        waterfall=factors,
        prospects=None if mistimed else _ask_or_none(evidence, prospects),
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
