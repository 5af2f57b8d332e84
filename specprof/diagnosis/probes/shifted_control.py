"""Compares the draft's law with the target's at a later place, as a negative control.

Changes
    Over known text: the target's place, by seven tokens.

Confirms
    That the overlap means something: laws of different places must agree far less.

Overturns
    A mismatch, where the overlap does not collapse: the draft or the text is alike everywhere.

Does not see
    Whether the laws are right; it only sees that they depend on the place.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH_RULES, measure, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

SHIFT_TOKENS = 7
MAX_KEPT = 0.8
"""A shifted overlap of this share of the unshifted one does not depend on the place."""


class ShiftedControl(Probe):
    """A negative control of the overlap."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH_RULES | {"text-loops"}
    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    corrects: ClassVar[frozenset[str]] = MISMATCH_RULES

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read as it is, and shifted."""
        return vary_reading(header, {"shift": SHIFT_TOKENS})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the mean overlap of a place with itself and with another."""
        del evidence
        here, shifted = (overlap.mean_overlap(run.columns) for run in runs)
        if shifted.value < MAX_KEPT * here.value:
            return Clear(
                detectable=f"{MAX_KEPT:.0%} of the overlap kept at a shift of {SHIFT_TOKENS} "
                f"tokens; {here.value:.1%} became {shifted.value:.1%}"
            )
        return Found(
            finding=Finding(
                message=f"the draft's law overlaps by {shifted.value:.1%} with the target's law "
                f"{SHIFT_TOKENS} tokens later, and by {here.value:.1%} with that at its own "
                "place: the overlap does not depend on the place",
                measures=(
                    measure("overlap per place of text", here),
                    measure("overlap per place of text, shifted", shifted),
                ),
                remedy="judge the pair on a text that does not repeat itself",
                suspects=("meas/degenerate-repetition",),
            )
        )
