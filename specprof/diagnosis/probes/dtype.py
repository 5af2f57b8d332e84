"""Makes the same run in float32, to see whether rounding explains a finding.

Changes
    The data type of both models, to float32.

Confirms
    A fault: it stays in float32, and rounding does not.

Overturns
    Findings of state and of greedy output that only rounding made. Near ties that flip are not
    overturned: rounding is their cause. Nor are laws farther off than rounding makes them.

Does not see
    Faults of kernels that exist in the narrow type only.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import LAW_RULES, STATE_RULES, find_bug, quote_finding, vary
from specprof.errors import MissingEvidence
from specprof.extend import Probe
from specprof.findings import Clear, Family, Outcome, Stage, Unknown
from specprof.records import Header
from specprof.settings import Settings

ROUNDING_RULES = STATE_RULES | {"output-not-greedy", "self-draft-disagrees"}


MIN_FAR_GAP = 0.3
"""Median gap of wrong laws, from which on their model saw another text: rounding makes less."""


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
        (run,) = runs
        found = find_bug(run)
        if found:
            return quote_finding(found, "in float32 as well")
        if far := _find_far_gap(evidence):
            off = f"a float32 run is right, but the capture's wrong laws are {far:.2f} apart"
            return Unknown(reason=f"{off} at the median, which is more than rounding makes")
        return Clear(detectable=f"a bug in float32; {len(run.reached):,} places were judged")


def _find_far_gap(evidence: Evidence) -> float | None:
    """Return the median gap of a side's wrong laws, where rounding can't be their cause."""
    try:
        drift = evidence.ask(attribution.drift)
    except MissingEvidence:
        return None
    for side in (drift.target, drift.draft):
        if side.p_value <= evidence.alpha and side.astray.any() and not side.rounded:
            middle = float(np.median(side.gap[side.astray]))
            if middle >= MIN_FAR_GAP:
                return middle
    return None
