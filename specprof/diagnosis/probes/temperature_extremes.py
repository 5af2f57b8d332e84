"""The temperature far up: what any pair is owed there is known beforehand.

Changes
    The temperature, to 1,000, without truncation: both laws become uniform.

Confirms
    An accept step or a law that isn't what it is declared: under rejection all must stand, under
    matching by equality one in a vocabulary.

Overturns
    Nothing: a rule that accepts too much passes under rejection.

Does not see
    Faults of a low temperature; a drafter without a law of its own.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate, proportion
from specprof.diagnosis.probes._runs import LAWS, Changes, measure, varied
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage, Unknown
from specprof.limits import OVERLAP_DRAFTERS
from specprof.records import Header
from specprof.settings import Settings

HOT = 1e3
SLACK = 0.1
"""What raw logits some hundred apart leave of a difference at that temperature."""
SHALLOW = 256


class TemperatureExtremes(Probe):
    """Theory 2.6."""

    bears_on: ClassVar[frozenset[str]] = LAWS
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return a short hot run in a chain; the rule is the capture's own."""
        settings = header.spec.settings
        if settings.drafter not in OVERLAP_DRAFTERS:
            return []
        rule = "auto" if settings.acceptance == "greedy" else settings.acceptance
        hot: Changes = {
            "temperature": HOT,
            "top_k": 0,
            "top_p": 1.0,
            "acceptance": rule,
            "shape": "chain",
        }
        return varied(header, hot | {"context": min(settings.context, SHALLOW), "stops": 4})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Hold acceptance against the limit the declared rule has."""
        (run,) = runs
        limits = {"rejection": 1.0, "block": 1.0, "exact-match": 0.0}
        rule = run.header.acceptance
        if rule not in limits:
            return Unknown(reason=f"what the rule {rule} comes to at a high temperature is open")
        limit, reached = limits[rule], run.reached
        rate = proportion(int(reached.accepted.sum()), len(reached))
        if abs(rate.value - limit) <= SLACK:
            return Clear(
                detectable=f"acceptance at temperature {HOT:,.0f} off {limit:.0%} by {SLACK:.0%}; "
                f"{rate.value:.1%} seen"
            )
        return Found(finding=_finding(evidence, rule, limit, rate))


def _finding(evidence: Evidence, rule: str, limit: float, rate: Estimate) -> Finding:
    matched = rule == "rejection" and rate.high < SLACK
    del evidence
    return Finding(
        message=f"at temperature {HOT:,.0f} {rate.value:.1%} of drafts stand where {rule} owes "
        f"{limit:.0%}" + (": they are matched by equality" if matched else ""),
        measures=(measure("accepted per reached token", rate),),
        remedy="check that the accept step applies the declared rule to the processed laws",
        suspects=("accept/exact-match-rule",) if matched else (),
        headline=True,
    )
