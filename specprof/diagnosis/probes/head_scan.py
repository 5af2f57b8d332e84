"""Feeds a head by other conventions, to see whether it then agrees far better with the target.

Changes
    Over known text: one convention at a time of how the head is fed.

Confirms
    A head that is not fed as it was trained: with one convention changed, it agrees with the
    target.

Overturns
    A mismatch: no convention mends a real one.

Does not see
    Two conventions broken at once; features of a neighbouring layer that are nearly equal.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import proportion
from specprof.diagnosis.probes._runs import (
    MISMATCH_RULES,
    STATE_RULES,
    measure,
    trained_length,
    vary,
)
from specprof.errors import MissingEvidence
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Outcome, Stage
from specprof.records import Header, Scan
from specprof.settings import Settings

AS_RUN = "as run"
MAX_CONTEXT = 1024
MIN_GAIN = 0.05
"""Of agreement; at least 4 standard errors as well."""
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
"""Convention -> the cases that fit where it agrees better than the run's own.

Of several conventions that agree alike the first counts: features taken from elsewhere can also
undo a wrong pairing with them.
"""


class HeadScan(Probe):
    """Compares one-step agreement on known text (teacher forcing)."""

    bears_on: ClassVar[frozenset[str]] = STATE_RULES | MISMATCH_RULES | {"self-draft-disagrees"}
    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.DRAFTER
    corrects: ClassVar[frozenset[str]] = MISMATCH_RULES

    def runs(self, header: Header) -> list[Settings]:
        """Return the scan, inside the head's trained length; none where no head drafts."""
        settings = header.spec.settings
        if settings.drafter != "eagle":
            return []
        known = min(settings.context, trained_length(header) or MAX_CONTEXT, MAX_CONTEXT)
        return vary(header, {"workload": "scan", "shape": "chain", "context": known})

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
        least = max(MIN_GAIN, 4 * noise)
        if gain < least:
            return Clear(
                detectable=f"a convention that agrees {least:.0%} more; as run "
                f"{own.agreed / own.n:.1%}, next {best.convention} {best.agreed / best.n:.1%}"
            )
        return Found(
            finding=Finding(
                message=f"the head agrees with the target at {own.agreed / own.n:.1%} of places as "
                f"it is fed now, and at {best.agreed / best.n:.1%} with {best.convention}",
                measures=tuple(
                    measure(
                        f"agreed per place of text, {each.convention}",
                        proportion(each.agreed, each.n),
                    )
                    for each in (own, best)
                ),
                remedy="feed the head as it was trained: compare your code with its reference code",
                suspects=CAUSES.get(best.convention, ()),
                headline=True,
            )
        )


def _first_of_the_best(scans: dict[str, Scan]) -> Scan:
    """Return the first convention, in the order of `CAUSES`, that agrees best within noise.

    Unknown conventions come last.
    """
    best = max(scans.values(), key=lambda each: each.agreed / each.n)
    alike = [each for each in scans.values() if _gain(each, best)[0] <= _gain(each, best)[1]]
    order = [*CAUSES]
    return min(
        alike,
        key=lambda scan: order.index(scan.convention) if scan.convention in CAUSES else len(order),
    )


def _gain(own: Scan, other: Scan) -> tuple[float, float]:
    """Return how much more the other agrees, and the standard error of that gain."""
    shares = [each.agreed / each.n for each in (own, other)]
    noise = math.sqrt(sum(each * (1 - each) for each in shares) / own.n)
    return shares[1] - shares[0], noise
