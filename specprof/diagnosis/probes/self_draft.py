"""The target drafts for itself: all should stand.

Changes
    The drafter, to `self`, sampled at temperature 1 by rejection, in a chain.

Confirms
    A fault of the draft's state, of the accept step or of the laws: two equal laws owe each other
    everything, so whatever is rejected is rejected by mistake.

Overturns
    Nothing by its silence: hardly anything is rejected, so rollback is hardly tried.

Does not see
    Faults of rollback; faults of the draft model itself.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import binomial_excess, proportion
from specprof.diagnosis.probes._runs import (
    LAWS,
    MISMATCH,
    SAMPLED,
    STATE,
    Changes,
    accused,
    echoed,
    measure,
    varied,
)
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

CHANCE = 1e-4
"""Of a healthy run rejecting so many by rounding alone."""


class SelfDraft(Probe):
    """Draft = target."""

    bears_on: ClassVar[frozenset[str]] = LAWS | STATE | MISMATCH
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
        return varied(header, SAMPLED | own)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Count rejections against what rounding may do."""
        del evidence
        (run,) = runs
        reached = run.reached
        rejected = int((~reached.accepted).sum())
        slack = max(0.01, run.ask(attribution.noise).probability)
        accepted = measure(
            "accepted per reached token", proportion(len(reached) - rejected, len(reached))
        )
        found = accused(run)
        if found:
            return echoed(found, "the target drafting for itself", (accepted,))
        if binomial_excess(rejected, len(reached), slack) > CHANCE:
            return Clear(detectable=f"a share above {slack:.0%} of {len(reached):,} rejected")
        return Found(
            finding=Finding(
                message=f"the target accepts only {accepted.value:.1%} of its own drafts",
                measures=(accepted,),
                remedy="compare the draft's cache, positions and law with the target's",
                headline=True,
            )
        )
