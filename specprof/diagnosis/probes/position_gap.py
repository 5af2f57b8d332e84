"""Reads the same tokens with a gap in the positions between old and recent ones.

Changes
    Over known text inside the draft's trained length: the positions of the recent tokens move up by
    as much as the capture went beyond that length.

Confirms
    A draft that fails at long distances alone, with the content unchanged.

Overturns
    Nothing: a draft that copes with the distance may still fail because of far tokens.

Does not see
    Drafts without rotary positions, whose positions can't be moved.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import measure, trained_length, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

MIN_DROP = 0.05
RECENT_DIVISOR = 4
"""The recent tokens are this part of the trained length; distances between them stay."""


class PositionGap(Probe):
    """Theory 7.4, row C2."""

    bears_on: ClassVar[frozenset[str]] = frozenset({"position-range-exceeded", "drafts-mismatched"})
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text up to the trained length, as it is and with the gap."""
        known, context = trained_length(header), header.spec.settings.context
        if known is None or context <= known:
            return []
        gap = {"gap": context - known, "view": max(known // RECENT_DIVISOR, 1)}
        return vary_reading(header, gap, context=known)

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the overlap of the same places with and without the gap."""
        del evidence
        near, apart = (run.columns for run in runs)
        settings = runs[1].settings
        # Places before the gap have no token on its other side.
        lost = overlap.overlap_gain(near, apart, (settings.view or 0) + 1)
        if lost.value < MIN_DROP or lost.low <= 0:
            return Clear(
                detectable=f"a gap of {settings.gap:,} positions that costs {MIN_DROP:.0%}; it "
                f"cost {lost.value:+.1%}"
            )
        return Found(
            finding=Finding(
                message=f"{settings.gap:,} positions between old and recent tokens cost the draft "
                f"{100 * lost.value:.1f} points of overlap, with the content unchanged: the draft "
                "was not trained for such distances",
                measures=(
                    measure("overlap per place of text", overlap.mean_overlap(near)),
                    measure("overlap lost per place of text", lost),
                ),
                remedy="draft from a window of recent tokens (--set draft_cache=sink-window)",
                suspects=("mismatch/context-beyond-training",),
                headline=True,
            )
        )
