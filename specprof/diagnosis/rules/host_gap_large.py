"""Much of a round's time belongs to no phase: the host makes the device wait.

Measures
    The host gap (wall time less the top-level spans) per wall time of the rounds.

Fires when
    The lower end of its 95% interval exceeds 15%.

Why this is a cost and not a bug
    Nothing wrong is computed meanwhile; nothing at all is.

Likely causes
    A synchronisation a token, Python between the steps, small launches, tokens decoded or printed
    inside the loop, a busy machine.

Confirm
    The same run on an idle machine; a timeline of one round: specprof export speedscope.

Does not see
    Idle time inside a span; on an accelerator the spans are the device's and the gap is real.

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

LARGE = 0.15


class HostGapLarge(Rule):
    """An interval of a share."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at the share of wall time no span covers."""
        rounds = evidence.timed
        if not evidence.columns.spans:
            raise MissingEvidence("no spans were recorded", "record with --detail rounds")
        if not rounds.wall_ns.any():
            raise MissingEvidence("the rounds took no time that the clock could tell", NO_TIME_HINT)
        gap = ratio(evidence.columns.gap_ns.astype(float), rounds.wall_ns.astype(float))
        if gap.low <= LARGE:
            return Clear(detectable=f"a gap above {LARGE:.0%} of wall time; seen {gap.value:.1%}")
        per_round = float(evidence.columns.gap_ns.mean()) / 1e6
        finding = Finding(
            message=f"{gap.value:.0%} of the rounds' wall time is host gap",
            measures=(
                Measure(
                    name="gap per wall time", value=gap.value, n=gap.n, low=gap.low, high=gap.high
                ),
                Measure(name="gap per round", value=per_round, unit="ms", n=len(rounds)),
            ),
            remedy="move host work out of the round: one synchronisation a round, no printing, "
            "captured graphs for the draft's steps",
            confirm=("specprof export speedscope <capture>",),
            suspects=("perf/host-sync-and-bookkeeping",),
        )
        return Found(finding=finding)
