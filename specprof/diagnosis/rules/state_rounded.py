"""A model's answers are a little off throughout, as coarser arithmetic than declared has them.

Measures
    Total variation between a model's laws in the run and those of one plain pass over the committed
    tokens, as draft-state-drifts and target-state-drifts do: its median, and what one place in a
    hundred exceeds.

Fires when
    Their test fires, and all but one place in a hundred are within 0.1 and within eight medians.

Why this is the numerics and not a bug
    Rounding puts every answer off by about as much. A wrong cache, position or mask leaves some
    answers nearly right and others far off: the text they see is another one.

Likely causes
    A cache kept in 8 or 16 bits by a model of a wider type; weights in another type than the ones
    they are rechecked with; an attention kernel that adds up in a narrow type, or is a little wrong
    where several rows are verified at once.

Confirm
    The same run with cache and kernels in the declared type: it must vanish.

Does not see
    A fault of the state that costs every place about as little; runs in bfloat16, whose own
    rounding is as coarse.

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
    """What the bets on the two states would otherwise call a wrong one."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.NUMERICS
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the target first: its law is the text's."""
        drift = evidence.ask(attribution.drift)
        sides: tuple[tuple[_states.Who, Side], ...] = (
            ("target", drift.target),
            ("draft", drift.draft),
        )
        if not any(len(side.gap) for _, side in sides):
            raise MissingEvidence("no answer was recomputed", "record with recheck_context above 0")
        for who, side in sides:
            if side.p_value <= evidence.alpha and side.rounded:
                return Found(finding=_finding(evidence, who, side))
        return Clear(
            detectable=f"laws {drift.noise.gap:.2%} apart throughout, all within "
            f"{attribution.MAX_ROUNDED_GAP:.0%}"
        )


def _finding(evidence: Evidence, who: _states.Who, side: Side) -> Finding:
    facts = evidence.header.target if who == "target" else evidence.header.draft
    middle, most = np.quantile(side.gap, [0.5, 0.99])
    declared = f" than {facts.dtype}" if facts else ""
    return Finding(
        message=f"the {who}'s answers are off by {middle:.2%} in the middle and {most:.2%} at most "
        f"in 99 of 100 places, as arithmetic coarser{declared} has them",
        measures=(
            Measure(name="median gap per rechecked place", value=float(middle), n=len(side.gap)),
            Measure(name="gap that 1% of rechecked places exceed", value=float(most)),
        ),
        remedy="keep caches in the declared type, and check the kernel for a few rows against "
        "plain attention; where coarse ones are meant, nothing is broken",
        confirm=("specprof run --dtype float32",),
        rounds=first_rounds(side.round, side.astray),
        suspects=(KERNEL,) if who == "target" else (BUILD,),
    )
