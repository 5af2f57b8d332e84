"""Shows the draft recent tokens only, at positions it was trained on.

Changes
    Over known text: the draft reads only the last tokens, from position 0. The target stays as it
    is.

Confirms
    A draft that fails at long positions or because of far tokens: it overlaps more when it sees
    less.

Overturns
    A finding that blames the draft's trained length, where the short view recovers nothing.

Does not see
    Whether far positions or far tokens are the cause (position-gap separates them); the run's own
    state.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH_RULES, measure, trained_length, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

DEFAULT_CONTEXT = 512
"""Where the draft's trained length is not known."""
MIN_RECOVERY = 0.05


class ShortView(Probe):
    """Theory 7.4, row B."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH_RULES
    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH
    clears: ClassVar[frozenset[str]] = frozenset({"position-range-exceeded"})

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read in full, and by a draft that sees half its trained length."""
        known = trained_length(header) or DEFAULT_CONTEXT
        if header.spec.settings.context <= known:
            return []
        return vary_reading(header, {"view": max(known // 2, 1)})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the overlap beyond the trained length, place by place."""
        known = trained_length(evidence.header) or DEFAULT_CONTEXT
        whole, view = (run.columns for run in runs)
        gained = overlap.overlap_gain(view, whole, known)
        seen = runs[1].settings.view
        if gained.value < MIN_RECOVERY or gained.low <= 0:
            found = f"it recovered {gained.value:+.1%} beyond context {known:,}"
            return Clear(
                detectable=f"a view of {seen} tokens that recovers {MIN_RECOVERY:.0%}; {found}"
            )
        near, far = overlap.mean_overlap(whole, 0, known), overlap.mean_overlap(whole, known)
        back = overlap.mean_overlap(view, known)
        return Found(
            finding=Finding(
                message=f"beyond context {known:,} the draft is owed {back.value:.1%} of drafts "
                f"when it sees only the last {seen} tokens, and {far.value:.1%} when it sees all: "
                "it can't use text that far back",
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
