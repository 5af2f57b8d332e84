"""Makes the same run in float32, to see whether rounding explains a finding.

Changes
    The data type of both models, to float32.

Confirms
    A fault: it stays in float32, and rounding does not.

Overturns
    Findings of state and of greedy output that only rounding made. Near ties that flip are not
    overturned: rounding is their cause.

Does not see
    Faults of kernels that exist in the narrow type only.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import LAW_RULES, STATE_RULES, find_bug, quote_finding, vary
from specprof.extend import Probe
from specprof.findings import Clear, Family, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

ROUNDING_RULES = STATE_RULES | {"output-not-greedy", "self-draft-disagrees"}


class Dtype(Probe):
    """Theory 7.4, row F."""

    bears_on: ClassVar[frozenset[str]] = ROUNDING_RULES | LAW_RULES | {"near-ties-flipped"}
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE
    clears: ClassVar[frozenset[str]] = ROUNDING_RULES

    def runs(self, header: Header) -> list[Settings]:
        """Return the run in float32; none where the capture is in float32 or float64."""
        if header.target is None or header.target.dtype in {"float32", "float64"}:
            return []
        return vary(header, {"dtype": "float32"})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Ask the rules about the run in float32."""
        del evidence
        (run,) = runs
        found = find_bug(run)
        if found:
            return quote_finding(found, "in float32 as well")
        return Clear(detectable=f"a bug in float32; {len(run.reached):,} places were judged")
