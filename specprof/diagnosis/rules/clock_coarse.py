"""The clock is too slow, or too coarse, for what it times.

Measures
    The cost of the clock's readings per wall time of a median round; verify spans of no length.

Fires when
    Reading the clock takes 2% of a round or more, or 1% of verify spans have no length.

Why this is the measurement and not the engine
    A clock that takes time adds it to what it measures, most where steps are short; one that
    ticks coarsely books a step's time under its neighbour.

Likely causes
    Events of an accelerator around microsecond kernels; a virtual machine's clock; very small
    models.

Confirm
    Record with --detail off: the difference in wall time is the clock's and the recorder's.

Does not see
    Readings that make the device wait, which show in the host gap.

Try it
    specprof run -o run.jsonl, then raise clock.read_ns in the capture's first line by hand
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

COST, EMPTY = 0.02, 0.01


class ClockCoarse(Rule):
    """Arithmetic over the header's clock facts."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Set the clock's cost against a round."""
        rounds, spans = evidence.timed, evidence.columns.spans
        # Two readings a span and a round; a draft step is a span too.
        readings = 2 * (len(spans) + 1 + float(np.median(rounds.levels)))
        cost = readings * evidence.header.clock.read_ns / max(float(np.median(rounds.wall_ns)), 1)
        empty = float((spans["verify"] == 0).mean()) if "verify" in spans else 0.0
        if cost < COST and empty < EMPTY:
            return Clear(detectable=f"a cost of {COST:.0%} of a round; seen {cost:.2%}")
        finding = Finding(
            message=f"the clock costs {cost:.1%} of a round, and {empty:.1%} of verify spans have "
            "no length",
            measures=(
                Measure(name="clock readings per wall time", value=cost, n=len(rounds)),
                Measure(name="empty verify spans per round", value=empty, n=len(rounds)),
                Measure(name="one reading", value=evidence.header.clock.read_ns, unit="ns"),
            ),
            remedy="trust sums over many rounds, not single spans; record with --detail off to "
            "see the cost",
        )
        return Found(finding=finding)
