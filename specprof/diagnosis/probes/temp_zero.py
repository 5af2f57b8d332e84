"""Compares temperature 0 with a temperature close to 0.

Changes
    The temperature, to 0 and to 0.01: two branches of the code that must nearly agree.

Confirms
    A fault of the greedy branch alone: a sampler that fails at 0.

Overturns
    Nothing.

Does not see
    Faults at both temperatures.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.diagnosis.probes._runs import LAW_RULES, Changes, measure, vary
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

COLD_TEMPERATURE = 0.01
MIN_DIFFERENCE = 0.15
"""Of acceptance; ties of two logits make the two differ by less."""


class TempZero(Probe):
    """Compares greedy with nearly greedy."""

    bears_on: ClassVar[frozenset[str]] = LAW_RULES | {"output-not-greedy", "drafts-mismatched"}
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return the run at temperature 0, and the run close to it."""
        asked = header.spec.settings.acceptance
        rule = "auto" if asked in {"greedy", "rejection"} else asked
        zero: Changes = {"temperature": 0.0, "acceptance": rule}
        cold: Changes = {"temperature": COLD_TEMPERATURE, "acceptance": rule}
        return vary(header, zero, cold)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare how often a reached level is accepted."""
        del evidence
        levels = [run.reached.levels() for run in runs]
        zero, cold = (proportion(int(each.accepted.sum()), len(each)) for each in levels)
        touching = zero.low < cold.high and cold.low < zero.high
        if abs(zero.value - cold.value) < MIN_DIFFERENCE or touching:
            return Clear(
                detectable=f"rates {MIN_DIFFERENCE:.0%} apart; {zero.value:.1%} at 0, "
                f"{cold.value:.1%} at {COLD_TEMPERATURE}"
            )
        return Found(
            finding=Finding(
                message=f"{zero.value:.1%} of {runs[0].place}s are accepted at temperature 0, and "
                f"{cold.value:.1%} at {COLD_TEMPERATURE}: the branch for 0 uses another law",
                measures=(
                    measure(f"accepted per {runs[0].place}, at 0", zero),
                    measure(f"accepted per {runs[0].place}, at {COLD_TEMPERATURE}", cold),
                ),
                remedy="draft and verify by the first choice at temperature 0, in both models",
                suspects=("draft/temp-zero-sampler-degenerate",),
                headline=True,
            )
        )
