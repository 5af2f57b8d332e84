"""The clock is too slow, or too coarse, for what it times.

Measures
    The time that reading the clock takes, per wall time of a median round; verify spans of length
    0.

Fires when
    Reading the clock takes 2% of a round or more, or 1% of verify spans have length 0.

Why this is the measurement and not the engine
    A slow clock adds its own time to each step, most of all to short steps. A coarse clock counts a
    step's time for the step next to it.

Likely causes
    Events of an accelerator around microsecond kernels; a virtual machine's clock; very small
    models.

Confirm
    Record with --detail off: the difference in wall time belongs to the clock and the recorder.

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

MAX_COST, MAX_EMPTY = 0.02, 0.01
"""Shares: of a round's wall time, and of verify spans."""


class ClockCoarse(Rule):
    """Arithmetic over the header's clock facts."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the clock's cost with a round's wall time."""
        rounds, spans = evidence.timed, evidence.columns.spans
        # Two readings a span and a round; a draft step is a span too.
        readings = 2 * (len(spans) + 1 + float(np.median(rounds.levels)))
        cost = readings * evidence.header.clock.read_ns / max(float(np.median(rounds.wall_ns)), 1)
        empty = float((spans["verify"] == 0).mean()) if "verify" in spans else 0.0
        if cost < MAX_COST and empty < MAX_EMPTY:
            seen = f"seen {cost:.2%} over {len(rounds):,} rounds"
            return Clear(detectable=f"a cost of {MAX_COST:.0%} of a round; {seen}")
        finding = Finding(
            message=f"reading the clock takes {cost:.1%} of a round, and {empty:.1%} of verify "
            "spans have length 0",
            measures=(
                Measure(
                    name="clock readings per wall time", value=cost, n=len(rounds), counted="rounds"
                ),
                Measure(
                    name="empty verify spans per round",
                    value=empty,
                    n=len(rounds),
                    counted="rounds",
                ),
                Measure(name="one reading", value=evidence.header.clock.read_ns, unit="ns"),
            ),
            remedy="trust sums over many rounds, not single spans; record with --detail off to "
            "see the cost",
        )
        return Found(finding=finding)
