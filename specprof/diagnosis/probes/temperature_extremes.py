"""Runs at a very high temperature, where the acceptance owed is known for any pair of models.

Changes
    The temperature, to 1,000, without truncation: both laws become uniform.

Confirms
    An accept step or a law that is not what it is declared: under rejection all drafts must be
    accepted, and under equality one in a vocabulary.

Overturns
    Nothing: under rejection, a rule that accepts too much passes.

Does not see
    Faults of a low temperature; drafters without a law.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate, proportion
from specprof.diagnosis.probes._runs import LAW_RULES, Changes, measure, vary
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage, Unknown
from specprof.limits import OVERLAP_DRAFTERS
from specprof.records import Header
from specprof.settings import Settings

HOT_TEMPERATURE = 1e3
MAX_DIFFERENCE = 0.1
"""At that temperature, raw logits about a hundred apart still leave so much."""
MAX_CONTEXT = 256


class TemperatureExtremes(Probe):
    """Theory 2.6."""

    bears_on: ClassVar[frozenset[str]] = LAW_RULES
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return a short run in a chain at that temperature, by the capture's own rule."""
        settings = header.spec.settings
        if settings.drafter not in OVERLAP_DRAFTERS:
            return []
        rule = "auto" if settings.acceptance == "greedy" else settings.acceptance
        hot: Changes = {
            "temperature": HOT_TEMPERATURE,
            "top_k": 0,
            "top_p": 1.0,
            "acceptance": rule,
            "shape": "chain",
        }
        return vary(header, hot | {"context": min(settings.context, MAX_CONTEXT), "stops": 4})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare acceptance with the declared rule's limit."""
        (run,) = runs
        limits = {"rejection": 1.0, "block": 1.0, "exact-match": 0.0}
        rule = run.header.acceptance
        if rule not in limits:
            return Unknown(reason=f"the limit of the rule {rule} at high temperature is not known")
        limit, reached = limits[rule], run.reached
        rate = proportion(int(reached.accepted.sum()), len(reached))
        if abs(rate.value - limit) <= MAX_DIFFERENCE:
            return Clear(
                detectable=f"acceptance at temperature {HOT_TEMPERATURE:,.0f} that differs from "
                f"{limit:.0%} by {MAX_DIFFERENCE:.0%}; {rate.value:.1%} seen"
            )
        return Found(finding=_finding(evidence, rule, limit, rate))


def _finding(evidence: Evidence, rule: str, limit: float, rate: Estimate) -> Finding:
    matched = rule == "rejection" and rate.high < MAX_DIFFERENCE
    del evidence
    return Finding(
        message=f"at temperature {HOT_TEMPERATURE:,.0f}, {rate.value:.1%} of drafts are accepted "
        f"where {rule} owes {limit:.0%}" + (": they are matched by equality" if matched else ""),
        measures=(measure("accepted per reached token", rate),),
        remedy="check that the accept step applies the declared rule to the processed laws",
        suspects=("accept/exact-match-rule",) if matched else (),
        headline=True,
    )
