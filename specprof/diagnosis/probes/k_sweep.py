"""Runs other depths, and compares each index with the acceptance owed at its own prefixes.

Changes
    K, to 1 and to twice the capture's.

Confirms
    A fault that depends on depth: an index accepted less, or more, than its prefixes owe.

Overturns
    The belief that a rate which moves with K is a fault: rounds of another K begin at other places,
    where another acceptance is owed.

Does not see
    A wrong state, because the acceptance owed is computed from the same state: recompute sees that.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.diagnosis.probes._runs import LAW_RULES, find_bug, measure, quote_finding, vary
from specprof.extend import Probe
from specprof.findings import Clear, Family, Measure, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings


class KSweep(Probe):
    """Shows the first index's rate beside the acceptance owed there (meas/index0-depends-on-k)."""

    bears_on: ClassVar[frozenset[str]] = LAW_RULES
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return the run at K = 1 and at twice its own."""
        depths = (1, 2 * max(header.spec.settings.depth, 1))
        fixed = {"depth_policy": "fixed"}
        return vary(header, *(fixed | {"depth": depth} for depth in depths))

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Ask the rules about both runs; report each first index beside its acceptance owed."""
        first = [each for run in (evidence, *runs) for each in _first_index(run)]
        for run in runs:
            if found := find_bug(run):
                return quote_finding(found, f"at K = {run.settings.depth}", first)
        figures = ", ".join(f"{each.name} {each.value:.1%}" for each in first)
        return Clear(detectable=f"a depth at which the rules see a bug; {figures}")


def _first_index(run: Evidence) -> list[Measure]:
    """Return how often a run's first index was accepted, and how often it was owed acceptance."""
    levels = run.reached.levels()
    first = levels.where(levels.index == 0)
    depth = f"at K = {run.settings.depth}"
    stood = proportion(int(first.accepted.sum()), len(first))
    found = [measure(f"c_0 {depth}", stood)]
    if not np.isnan(first.overlap).any():
        found.append(
            Measure(
                name=f"owed {depth}",
                value=float(first.overlap.mean()),
                n=len(first),
                counted="places",
            )
        )
    return found
