"""A negative control: the draft's law against the target's at a place further on.

Changes
    Over known text: which places are held against each other, by seven tokens.

Confirms
    That the overlap says something: laws of different places must agree far less.

Overturns
    A mismatch, where it doesn't collapse: the draft or the text is the same everywhere.

Does not see
    Whether the laws are right; only that they go with the place.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH, measure, read
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header
from specprof.settings import Settings

SHIFT = 7
KEPT = 0.8
"""An overlap that keeps this share when shifted tells nothing of the place."""


class ShiftedControl(Probe):
    """What a broken measurement would pass."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH | {"text-loops"}
    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    corrects: ClassVar[frozenset[str]] = MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read as it is, and shifted."""
        return read(header, {"shift": SHIFT})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the mean overlap of a place with itself and with another."""
        del evidence
        here, shifted = (overlap.mean_overlap(run.columns) for run in runs)
        if shifted.value < KEPT * here.value:
            return Clear(
                detectable=f"{KEPT:.0%} of the overlap kept at a shift of {SHIFT}; "
                f"{here.value:.1%} became {shifted.value:.1%}"
            )
        return Found(
            finding=Finding(
                message=f"the draft's law overlaps with the target's {SHIFT} tokens further on by "
                f"{shifted.value:.1%}, as with its own by {here.value:.1%}: neither goes with the "
                "place",
                measures=(
                    measure("overlap per place of text", here),
                    measure("overlap per place of text, shifted", shifted),
                ),
                remedy="judge the pair on a text that does not repeat itself",
                suspects=("meas/degenerate-repetition",),
            )
        )
