"""The target drafts for itself with known noise: what it owes is known, and rollback is tried.

Changes
    The drafter, to `perturbed-self` with a noise of 0.3, sampled at temperature 1 by rejection.

Confirms
    A fault of rollback, of the accept step or of the correction: a place owes 1 - noise at least.

Overturns
    Nothing by its silence: the draft model's own faults are left out.

Does not see
    Faults of the draft model, of its vocabulary, of its positions where they differ.
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

NOISE = 0.3
CHANCE = 1e-4
"""Of a healthy run rejecting so many."""


class PerturbedSelf(Probe):
    """Draft = target but for a known share of uniform mass (theory 7.4, row J)."""

    bears_on: ClassVar[frozenset[str]] = LAWS | STATE | MISMATCH
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return the run with the noisy target as its own draft; no filter cuts the mixture."""
        own: Changes = {
            "drafter": "perturbed-self",
            "draft": None,
            "draft_cache": None,
            "noise": NOISE,
        }
        whole: Changes = {"top_k": 0, "top_p": 1.0, "depth_policy": "fixed"}
        return varied(header, SAMPLED | own | whole)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Hold acceptance against its lower bound: each place owes 1 - noise * TV, TV below 1."""
        del evidence
        (run,) = runs
        reached = run.reached
        rejected = int((~reached.accepted).sum())
        owed = 1 - NOISE - run.ask(attribution.noise).probability
        accepted = measure(
            "accepted per reached token", proportion(len(reached) - rejected, len(reached))
        )
        found = accused(run)
        if found:
            return echoed(found, f"the target drafting for itself with noise {NOISE}", (accepted,))
        if binomial_excess(rejected, len(reached), 1 - owed) > CHANCE:
            return Clear(detectable=f"acceptance below {owed:.1%} of {len(reached):,} reached")
        return Found(
            finding=Finding(
                message=f"the target with noise {NOISE} is accepted {accepted.value:.1%} of the "
                f"time, and owes {1 - NOISE:.0%} at least",
                measures=(accepted,),
                remedy="check what rollback leaves behind, and the accept step's ratio",
                headline=True,
            )
        )
