"""A model's answers are a little off throughout, as arithmetic coarser than declared makes them.

Measures
    Total variation between a model's laws in the run and its laws in one plain pass over the
    committed tokens, as in draft-state-drifts and target-state-drifts: its median, and the value
    that one place in a hundred exceeds.

Fires when
    Their test fires, and all but one place in a hundred are within 0.1 and within eight medians.

Why this is the numerics and not a bug
    Rounding moves every answer by about as much. A wrong cache, position or mask leaves some
    answers nearly right and others far off, because the model then sees another text.

Likely causes
    A cache kept in 8 or 16 bits by a model of a wider type; a recheck with weights of another type
    than the run's; an attention kernel that adds up in a narrow type, or is slightly wrong where
    several rows are verified at once.

Confirm
    Make the same run with cache and kernels in the declared type: the difference must vanish.

Does not see
    A fault of the state that moves every place by as little; runs in bfloat16, whose own rounding
    is as coarse.

Try it
    specprof drill num/multi-token-attention-path
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.attribution import Side
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules import _states
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

KERNEL, BUILD = "num/multi-token-attention-path", "num/backend-draft-kernel"


class StateRounded(Rule):
    """Takes over where the test of a state fires and rounding explains it."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.NUMERICS
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the target first: the text follows its law."""
        drift = evidence.ask(attribution.drift)
        sides: tuple[tuple[_states.Role, Side], ...] = (
            ("target", drift.target),
            ("draft", drift.draft),
        )
        if not any(len(side.gap) for _, side in sides):
            raise MissingEvidence("no answer was recomputed", "record with recheck_context above 0")
        for role, side in sides:
            if side.p_value <= evidence.alpha and side.rounded:
                return Found(finding=_finding(evidence, role, side))
        n = sum(len(side.gap) for _, side in sides)
        return Clear(
            detectable=f"laws {drift.noise.gap:.2%} apart at every one of {n:,} places, and at "
            f"most {attribution.MAX_ROUNDED_GAP:.0%} apart"
        )


def _finding(evidence: Evidence, role: _states.Role, side: Side) -> Finding:
    facts = evidence.header.target if role == "target" else evidence.header.draft
    middle, most = np.quantile(side.gap, [0.5, 0.99])
    declared = f" than {facts.dtype}" if facts else ""
    return Finding(
        message=f"the {role}'s answers are off by {middle:.2%} at the median place and by at most "
        f"{most:.2%} in 99 of 100 places, as arithmetic coarser{declared} makes them",
        measures=(
            Measure(
                name="median gap per rechecked place",
                value=float(middle),
                n=len(side.gap),
                counted="places",
            ),
            Measure(
                name="gap that 1% of rechecked places exceed",
                value=float(most),
                n=len(side.gap),
                counted="places",
            ),
        ),
        remedy="keep caches in the declared type, and compare the kernel for a few rows with "
        "plain attention; where coarse arithmetic is intended, nothing is broken",
        confirm=("specprof run --dtype float32",),
        rounds=first_rounds(side.round, side.astray),
        suspects=(KERNEL,) if role == "target" else (BUILD,),
    )
