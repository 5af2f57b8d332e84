"""A head fed by other conventions, to see whether one agrees with the target far better.

Changes
    Over known text: one convention of how the head is fed, on top of what the run does.

Confirms
    A head that is fed otherwise than it was trained: undoing that one thing lets it agree.

Overturns
    A mismatch, which no convention mends.

Does not see
    Two conventions broken at once; a layer's neighbour, where it says nearly the same.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.diagnosis.probes._runs import MISMATCH, STATE, measure, trained, varied
from specprof.errors import MissingEvidence
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header, Scan
from specprof.settings import Settings

AS_RUN = "as run"
TEXT = 1024
FAR = 0.05
"""Agreement another convention must have more, and 4 standard errors of it as well."""
CAUSES = {
    "features a token earlier": ("eagle/input-shift-missing",),
    "features a token later": ("eagle/input-shift-missing",),
    "embedding and features swapped": ("eagle/concat-order-or-norm-stage",),
    "layers in reverse order": ("eagle/concat-order-or-norm-stage",),
    "features before the final norm": ("eagle/concat-order-or-norm-stage",),
    "features after the final norm": ("eagle/concat-order-or-norm-stage",),
    "layers as configured": ("eagle/aux-layer-off-by-one",),
    "features a layer earlier": ("eagle/aux-layer-off-by-one",),
    "features a layer later": ("eagle/aux-layer-off-by-one",),
    "logits with the residual": ("eagle/residual-dropped-before-head",),
    "logits without the residual": ("eagle/residual-dropped-before-head",),
}
"""Convention -> what is broken where it agrees better than the run's own; of several that agree
alike the first, for features taken from elsewhere undo a wrong pairing with them."""


class HeadScan(Probe):
    """One-step agreement, teacher-forced."""

    bears_on: ClassVar[frozenset[str]] = STATE | MISMATCH | {"self-draft-disagrees"}
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFTER
    corrects: ClassVar[frozenset[str]] = MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the scan, inside the head's trained length; only where a head drafts."""
        settings = header.spec.settings
        if settings.drafter != "eagle":
            return []
        known = min(settings.context, trained(header) or TEXT, TEXT)
        return varied(header, {"workload": "scan", "shape": "chain", "context": known})

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare every convention with the run's own."""
        del evidence
        scans = {each.convention: each for each in runs[0].columns.scans}
        if AS_RUN not in scans or not scans[AS_RUN].n:
            title = "no convention was scanned"
            raise MissingEvidence(title, "record the workload `scan` with the drafter eagle")
        own = scans.pop(AS_RUN)
        best = _first_of_the_best(scans)
        gain, noise = _gain(own, best)
        if gain < max(FAR, 4 * noise):
            return Clear(
                detectable=f"a convention that agrees {max(FAR, 4 * noise):.0%} more; as run "
                f"{own.agreed / own.n:.1%}, next {best.convention} {best.agreed / best.n:.1%}"
            )
        return Found(
            finding=Finding(
                message=f"the head agrees with the target at {own.agreed / own.n:.1%} of places as "
                f"it is fed, and at {best.agreed / best.n:.1%} with {best.convention}",
                measures=tuple(
                    measure(
                        f"agreed per place of text, {each.convention}",
                        proportion(each.agreed, each.n),
                    )
                    for each in (own, best)
                ),
                remedy="feed the head as it was trained: compare with its reference code",
                suspects=CAUSES.get(best.convention, ()),
                headline=True,
            )
        )


def _first_of_the_best(scans: dict[str, Scan]) -> Scan:
    """Return the convention that agrees best, or an earlier one that agrees as well but for noise.

    Unknown conventions come last.
    """
    best = max(scans.values(), key=lambda each: each.agreed / each.n)
    alike = [each for each in scans.values() if _gain(each, best)[0] <= _gain(each, best)[1]]
    order = [*CAUSES]
    return min(
        alike,
        key=lambda one: order.index(one.convention) if one.convention in CAUSES else len(order),
    )


def _gain(own: Scan, other: Scan) -> tuple[float, float]:
    """Return how much more the other agrees, and the standard error of that."""
    shares = [each.agreed / each.n for each in (own, other)]
    noise = math.sqrt(sum(each * (1 - each) for each in shares) / own.n)
    return shares[1] - shares[0], noise
