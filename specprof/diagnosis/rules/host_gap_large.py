"""Much of a round's time belongs to no phase: the host makes the device wait.

Measures
    The host gap (wall time less the top-level spans) per wall time of the rounds.

Fires when
    The lower end of its 95% interval exceeds 15%.

Why this is a cost and not a bug
    The device computes nothing wrong in that time. It computes nothing at all.

Likely causes
    A synchronisation for every token, Python between the steps, small launches, tokens decoded or
    printed inside the loop, a busy machine.

Confirm
    Make the same run on an idle machine; look at a timeline of one round: specprof export
    speedscope.

Does not see
    Idle time inside a span. On an accelerator the spans are device time, and the gap is real.

Try it
    specprof drill host-gap
"""

from typing import ClassVar

from specprof.analysis.cost_model import NO_TIME_HINT
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import ratio
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MAX_GAP = 0.15
"""Of wall time."""


class HostGapLarge(Rule):
    """An interval of a share."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Measure the share of wall time that no span covers."""
        rounds = evidence.timed
        if not evidence.columns.spans:
            raise MissingEvidence("no spans were recorded", "record with --detail rounds")
        if not rounds.wall_ns.any():
            raise MissingEvidence("the clock measured no time for any round", NO_TIME_HINT)
        gap = ratio(evidence.columns.gap_ns.astype(float), rounds.wall_ns.astype(float))
        if gap.low <= MAX_GAP:
            share = max(gap.value, 0.0)  # clocks may overlap
            seen = f"seen {share:.1%} over {gap.n:,} rounds"
            return Clear(detectable=f"a gap above {MAX_GAP:.0%} of wall time; {seen}")
        per_round = float(evidence.columns.gap_ns.mean()) / 1e6
        finding = Finding(
            message=f"{gap.value:.0%} of the rounds' wall time is host gap",
            measures=(
                Measure(
                    name="gap per wall time",
                    value=gap.value,
                    n=gap.n,
                    counted="rounds",
                    low=gap.low,
                    high=gap.high,
                ),
                Measure(
                    name="gap per round",
                    value=per_round,
                    unit="ms",
                    n=len(rounds),
                    counted="rounds",
                ),
            ),
            remedy="move host work out of the round: synchronise once a round, don't print, and "
            "capture the draft's steps as graphs",
            confirm=("specprof export speedscope <capture>",),
            suspects=("perf/host-sync-and-bookkeeping",),
        )
        return Found(finding=finding)
