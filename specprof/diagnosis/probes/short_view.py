"""The draft is shown recent tokens only, at positions it was trained on.

Changes
    Over known text: the draft reads the last tokens alone, from position 0. The target is left as
    it is.

Confirms
    A draft that loses its way at long positions or among far tokens: it overlaps better seeing
    less.

Overturns
    The blame a known length was given, where the short view brings nothing back.

Does not see
    Whether far positions or far tokens are to blame (position-gap parts them); the run's own state.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH, measure, read, trained
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

RANGE = 512
"""Where the draft names no trained length: its short texts."""
RECOVERY = 0.05


class ShortView(Probe):
    """Theory 7.4, row B."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH
    clears: ClassVar[frozenset[str]] = frozenset({"position-range-exceeded"})

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read as it is, and by a draft of half its trained length's view."""
        known = trained(header) or RANGE
        if header.spec.settings.context <= known:
            return []
        return read(header, {"view": max(known // 2, 1)})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the overlap beyond the trained length, place by place."""
        known = trained(evidence.header) or RANGE
        whole, view = (run.columns for run in runs)
        gained = overlap.overlap_gain(view, whole, known)
        seen = runs[1].settings.view
        if gained.value < RECOVERY or gained.low <= 0:
            found = f"{gained.value:+.1%} beyond context {known:,}"
            return Clear(
                detectable=f"a view of {seen} tokens that recovers {RECOVERY:.0%}; {found}"
            )
        near, far = overlap.mean_overlap(whole, 0, known), overlap.mean_overlap(whole, known)
        back = overlap.mean_overlap(view, known)
        return Found(
            finding=Finding(
                message=f"shown only the last {seen} tokens, the draft is owed {back.value:.1%} of "
                f"drafts beyond context {known:,}, and {far.value:.1%} with all of the text: it "
                "does not carry so far",
                measures=(
                    measure("overlap per place of text, in range", near),
                    measure("overlap per place of text, beyond", far),
                    measure("overlap per place of text, beyond, short view", back),
                    measure("overlap recovered per place of text", gained),
                ),
                remedy="draft from a window of recent tokens (--set draft_cache=sink-window), or "
                "use a draft trained for longer texts",
                suspects=("mismatch/context-beyond-training",),
                headline=True,
            )
        )
