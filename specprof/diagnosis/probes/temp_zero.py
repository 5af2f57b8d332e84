"""Temperature 0 beside a temperature that all but is.

Changes
    The temperature, to 0 and to 0.01: two branches of the same code that must all but agree.

Confirms
    A greedy branch that is broken by itself: a sampler that degenerates at 0.

Overturns
    Nothing.

Does not see
    What is wrong at both.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.diagnosis.probes._runs import LAWS, Changes, measure, varied
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

COLD = 0.01
APART = 0.15
"""Ties of two logits make the two differ by little; this is much."""


class TempZero(Probe):
    """Greedy against nearly greedy."""

    bears_on: ClassVar[frozenset[str]] = LAWS | {"output-not-greedy", "drafts-mismatched"}
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFT_STATE

    def runs(self, header: Header) -> list[Settings]:
        """Return both runs."""
        asked = header.spec.settings.acceptance
        rule = "auto" if asked in {"greedy", "rejection"} else asked
        zero: Changes = {"temperature": 0.0, "acceptance": rule}
        cold: Changes = {"temperature": COLD, "acceptance": rule}
        return varied(header, zero, cold)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare how often a level is passed."""
        del evidence
        levels = [run.reached.levels() for run in runs]
        zero, cold = (proportion(int(each.accepted.sum()), len(each)) for each in levels)
        if abs(zero.value - cold.value) < APART or (zero.low < cold.high and cold.low < zero.high):
            return Clear(
                detectable=f"rates {APART:.0%} apart; {zero.value:.1%} at 0, {cold.value:.1%} at "
                f"{COLD}"
            )
        return Found(
            finding=Finding(
                message=f"{zero.value:.1%} of {runs[0].place}s stand at temperature 0 and "
                f"{cold.value:.1%} at {COLD}: the branch for 0 is another law",
                measures=(
                    measure(f"accepted per {runs[0].place}, at 0", zero),
                    measure(f"accepted per {runs[0].place}, at {COLD}", cold),
                ),
                remedy="draft and verify by the first choice at temperature 0, in both models",
                suspects=("draft/temp-zero-sampler-degenerate",),
                headline=True,
            )
        )
