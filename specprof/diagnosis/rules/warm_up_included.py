"""The first rounds are much slower than the rest, and are in the averages.

Measures
    Rounds at the start that are slower than one and a half medians, and the time they took beyond
    the median, per wall time of all rounds.

Fires when
    The first round took over twice the median, and this excess is 2% or more.

Why this is the measurement and not the engine
    Compilation, allocation and clocks that ramp up happen once. They belong in a start-up figure,
    not in the time of a token.

Likely causes
    No warm-up rounds; a graph captured, or a kernel chosen, for each new depth.

Confirm
    Record longer: the excess stays, and its share falls.

Does not see
    Slowness that comes later: a machine that throttles, memory that fills.

Try it
    specprof run --stops 1 --max-new-tokens 64, on a cold machine
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

MIN_EXCESS = 0.02
"""Of the wall time of all rounds."""
MIN_ROUNDS = 8


class WarmUpIncluded(Rule):
    """Compares the first rounds with the median."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Measure the time that the slow first rounds took beyond the median."""
        wall = evidence.timed.wall_ns
        if len(wall) < MIN_ROUNDS:
            return Unknown(reason=f"a median needs {MIN_ROUNDS} rounds; there are {len(wall)}")
        median = float(np.median(wall))
        leading = int(np.append(wall <= 1.5 * median, True).argmax())
        excess = float((wall[:leading] - median).sum() / max(wall.sum(), 1))
        if not leading or wall[0] <= 2 * median or excess < MIN_EXCESS:
            seen = f"seen {excess:.1%} over {len(wall):,} rounds"
            return Clear(detectable=f"{MIN_EXCESS:.0%} of wall time in excess; {seen}")
        finding = Finding(
            message=f"the first {leading} round{'s' * (leading > 1)} took longer than the median "
            f"round, by {excess:.0%} of the decode time",
            measures=(
                Measure(name="excess per wall time", value=excess, n=len(wall), counted="rounds"),
                Measure(name="first round", value=float(wall[0]) / 1e6, unit="ms"),
                Measure(
                    name="median round",
                    value=median / 1e6,
                    unit="ms",
                    n=len(wall),
                    counted="rounds",
                ),
            ),
            remedy="leave these rounds out of timings, or record longer",
            rounds=first_rounds(evidence.rounds.index[:leading]),
        )
        return Found(finding=finding)
