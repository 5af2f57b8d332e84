"""Lets the target draft for itself: all drafts should be accepted.

Changes
    The drafter, to `self`, sampled at temperature 1 by rejection, in a chain.

Confirms
    A fault of the draft's state, of the accept step or of the laws: between equal laws every draft
    must be accepted, so every rejection is an error.

Overturns
    Nothing where it is clear: hardly any draft is rejected, so rollback is hardly tested.

Does not see
    Faults of rollback; faults of the draft model itself.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import binomial_excess, proportion
from specprof.diagnosis.probes._runs import (
    LAW_RULES,
    MISMATCH_RULES,
    SAMPLED_RUN,
    STATE_RULES,
    Changes,
    find_bug,
    measure,
    quote_finding,
    vary,
)
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

MAX_CHANCE = 1e-4
"""The probability of so many rejections by rounding alone."""


class SelfDraft(Probe):
    """Draft = target."""

    bears_on: ClassVar[frozenset[str]] = LAW_RULES | STATE_RULES | MISMATCH_RULES
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return the run with the target as its own draft."""
        if header.spec.settings.drafter == "self":
            return []
        own: Changes = {
            "drafter": "self",
            "draft": None,
            "draft_cache": None,
            "depth_policy": "fixed",
        }
        return vary(header, SAMPLED_RUN | own)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the number of rejections with what rounding may cause."""
        del evidence
        (run,) = runs
        reached = run.reached
        rejected = int((~reached.accepted).sum())
        slack = max(0.01, run.ask(attribution.noise).probability)
        accepted = measure(
            "accepted per reached token", proportion(len(reached) - rejected, len(reached))
        )
        found = find_bug(run)
        if found:
            return quote_finding(found, "the target drafting for itself", (accepted,))
        if binomial_excess(rejected, len(reached), slack) > MAX_CHANCE:
            return Clear(detectable=f"a share above {slack:.0%} of {len(reached):,} rejected")
        return Found(
            finding=Finding(
                message=f"the target accepts only {accepted.value:.1%} of its own drafts",
                measures=(accepted,),
                remedy="compare the draft's cache, positions and law with the target's",
                headline=True,
            )
        )
