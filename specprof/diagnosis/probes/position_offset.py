"""Reads the same tokens at shifted positions: with rotary positions nothing may change.

Changes
    Over known text: a constant is added to every position of both models.

Confirms
    Positions that matter by more than their differences: an absolute table, a rotation that depends
    on the text's length, or a fault in the rotation.

Overturns
    Nothing.

Does not see
    Faults of the run's own positions: neither reading uses a cache.
"""

from collections.abc import Sequence
from typing import ClassVar

from specprof.analysis import overlap
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.probes._runs import MISMATCH_RULES, measure, vary_reading
from specprof.extend import Probe
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown
from specprof.records import Header
from specprof.settings import Settings

OFFSET_POSITIONS = 1024
LENGTH_BOUND = ("dynamic", "longrope")
"""RoPE scalings whose angles depend on the text's length: an offset rightly changes them."""
MAX_ROUNDING_NATS = {"float32": 0.01, "float64": 0.01, "float16": 0.05, "bfloat16": 0.3}
"""By how much rounding of sines at far positions may move a token's likelihood."""


class PositionOffset(Probe):
    """Theory 7.4, row C."""

    bears_on: ClassVar[frozenset[str]] = MISMATCH_RULES
    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def runs(self, header: Header) -> list[Settings]:
        """Return the text read at its own and at shifted positions; none where no model rotates."""
        kinds = [each.rope for each in (header.target, header.draft) if each]
        if None in kinds or set(kinds) & set(LENGTH_BOUND):
            return []
        return vary_reading(
            header, {"offset": OFFSET_POSITIONS}, context=min(header.spec.settings.context, 512)
        )

    def judge(self, evidence: Evidence, runs: Sequence[Evidence]) -> Outcome:
        """Compare the change of the tokens' likelihoods with rounding."""
        here, there = (run.columns for run in runs)
        target = evidence.header.target
        if target is None or target.dtype not in MAX_ROUNDING_NATS:
            return Unknown(reason="the data type's rounding is not known")
        shift, floor = overlap.nll_shift(there, here), MAX_ROUNDING_NATS[target.dtype]
        if shift <= floor:
            return Clear(detectable=f"likelihoods moved by {floor} nats a token; {shift:.2g} seen")
        return Found(
            finding=Finding(
                message=f"adding {OFFSET_POSITIONS:,} to every position moves the models' "
                f"likelihoods by {shift:.2f} nats a token: positions matter by more than their "
                "differences",
                measures=(
                    Measure(name="nats moved per place of text", value=shift),
                    measure("overlap gained per place of text", overlap.overlap_gain(there, here)),
                ),
                remedy="compare the rotary tables of both models with their configurations",
            )
        )
