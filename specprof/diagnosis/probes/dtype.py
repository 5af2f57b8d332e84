"""The same run in float32, to see whether it is rounding.

Changes
    The data type of both models, to float32.

Confirms
    A fault: it stands where rounding doesn't.

Overturns
    Findings of state and of greedy output that only rounding made. Near ties that flip stand:
    rounding is what they are blamed on.

Does not see
    Faults of kernels that exist in the narrow type only.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import LAWS, STATE, accused, echoed, varied
from specprof.extend import Probe
from specprof.findings import Clear, Family, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

ROUNDED = STATE | {"output-not-greedy", "self-draft-disagrees"}


class Dtype(Probe):
    """Theory 7.4, row F."""

    bears_on: ClassVar[frozenset[str]] = ROUNDED | LAWS | {"near-ties-flipped"}
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    clears: ClassVar[frozenset[str]] = ROUNDED

    def runs(self, header: Header) -> list[Settings]:
        """Return the run in float32, unless it was."""
        if header.target is None or header.target.dtype in {"float32", "float64"}:
            return []
        return varied(header, {"dtype": "float32"})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Ask the rules about the wide run."""
        del evidence
        (run,) = runs
        found = accused(run)
        if found:
            return echoed(found, "in float32 as well")
        return Clear(detectable=f"a bug in float32; {len(run.reached):,} places were judged")
