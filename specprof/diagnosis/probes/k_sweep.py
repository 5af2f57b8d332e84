"""Other depths, each index held against what it was owed at the very same prefixes.

Changes
    K, to 1 and to twice the capture's.

Confirms
    A fault that comes with depth: an index accepted less, or more, than its prefixes owe.

Overturns
    The reading of a rate that moves with K as a fault: rounds of another K begin at other places,
    and what is owed there moves with it.

Does not see
    A wrong state, which both what is owed and what stands are judged by: recompute sees it.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.diagnosis.probes._runs import LAWS, accused, echoed, measure, varied
from specprof.extend import Probe
from specprof.findings import Clear, Family, Measure, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings


class KSweep(Probe):
    """The first index' rate, beside what its own prefixes owed (meas/index0-depends-on-k)."""

    bears_on: ClassVar[frozenset[str]] = LAWS
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return the run at K = 1 and at twice its own."""
        depths = (1, 2 * max(header.spec.settings.depth, 1))
        fixed = {"depth_policy": "fixed"}
        return varied(header, *(fixed | {"depth": depth} for depth in depths))

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Ask the rules about both runs; tell each first index beside its debt."""
        told = [each for run in (evidence, *runs) for each in _first(run)]
        for run in runs:
            if found := accused(run):
                return echoed(found, f"at K = {run.settings.depth}", told)
        figures = ", ".join(f"{each.name} {each.value:.1%}" for each in told)
        return Clear(detectable=f"a depth at which the rules see a bug; {figures}")


def _first(run: Evidence) -> list[Measure]:
    """Return how often the first index stood, and was owed to, of one run."""
    levels = run.reached.levels()
    first = levels.where(levels.index == 0)
    depth = f"at K = {run.settings.depth}"
    stood = proportion(int(first.accepted.sum()), len(first))
    found = [measure(f"c_0 {depth}", stood)]
    if not np.isnan(first.overlap).any():
        found.append(Measure(name=f"owed {depth}", value=float(first.overlap.mean())))
    return found
