"""Lets the target draft for itself with known noise, which tests rollback at a known acceptance.

Changes
    The drafter, to `perturbed-self` with a noise of 0.3, sampled at temperature 1 by rejection.

Confirms
    A fault of rollback, of the accept step or of the correction: at least 1 - noise is owed at
    every place.

Overturns
    Nothing where it is clear: the draft model's own faults take no part.

Does not see
    Faults of the draft model, of its vocabulary, or of positions that only the draft model has.
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

NOISE = 0.3
MAX_CHANCE = 1e-4
"""The probability of so many rejections in a healthy run."""


class PerturbedSelf(Probe):
    """Draft = target, except for a known share of uniform mass (theory 7.4, row J)."""

    bears_on: ClassVar[frozenset[str]] = LAW_RULES | STATE_RULES | MISMATCH_RULES
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
        return vary(header, SAMPLED_RUN | own | whole)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare acceptance with its lower bound: each place owes 1 - noise * TV, TV below 1."""
        del evidence
        (run,) = runs
        reached = run.reached
        rejected = int((~reached.accepted).sum())
        owed = 1 - NOISE - run.ask(attribution.noise).probability
        accepted = measure(
            "accepted per reached token", proportion(len(reached) - rejected, len(reached))
        )
        found = find_bug(run)
        if found:
            return quote_finding(
                found, f"the target drafting for itself with noise {NOISE}", (accepted,)
            )
        if binomial_excess(rejected, len(reached), 1 - owed) > MAX_CHANCE:
            return Clear(detectable=f"acceptance below {owed:.1%} of {len(reached):,} reached")
        return Found(
            finding=Finding(
                message=f"the target drafts for itself with noise {NOISE} and is accepted "
                f"{accepted.value:.1%} of the time, where at least {1 - NOISE:.0%} is owed",
                measures=(accepted,),
                remedy="check what rollback leaves in the caches, and the accept step's ratio",
                headline=True,
            )
        )
