"""A drafting round takes less time than a plain step, so the speed-up can't be right.

Measures
    The speed-up over plain decoding at the same contexts, against tokens per round, tau.

Fires when
    The lower end of the speed-up's 95% interval is above tau by 10% or more.

Why this is a measurement and not a gain
    Verifying K + 1 tokens can't be cheaper than verifying one. If nothing else took time, the
    speed-up would be tau (theory 1.3, 5.2).

Likely causes
    A baseline of another engine, type or cache, or of a busy machine; a clock read before the
    device was done; plain steps that were the first of their shape.

Confirm
    Time the baseline again, in turn with the run: specprof run --drafter none.

Does not see
    A baseline that is too slow, but by less than verifying and drafting cost.

Try it
    specprof run --drafter none -o plain.jsonl on a busy machine, specprof run -o run.jsonl on an
    idle one, then specprof diagnose run.jsonl plain.jsonl
"""

from typing import ClassVar

from specprof.analysis import cost_model
from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_EXCESS = 1.1
"""Speed-up over tau."""


class RoundTooCheap(Rule):
    """Compares an interval with a bound."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the speed-up with tokens per round."""
        gain, cost = evidence.ask(cost_model.speedup), evidence.ask(cost_model.costs)
        most = cost.tau * max(cost.mix, 1.0)
        if gain.low < MIN_EXCESS * most:
            above = f"above tau = {most:.2f} of {gain.n:,} rounds"
            return Clear(detectable=f"a speed-up {MIN_EXCESS - 1:.0%} {above}")
        finding = Finding(
            message=f"the speed-up of {gain.value:.2f} is above the {most:.2f} tokens of a round: "
            "a round would take less time than a plain step",
            measures=(
                Measure(
                    name="speed-up over plain decoding",
                    value=gain.value,
                    unit="x",
                    n=gain.n,
                    counted="rounds",
                    low=gain.low,
                    high=gain.high,
                ),
                Measure(
                    name="emitted per round",
                    value=cost.tau,
                    unit="tokens",
                    n=gain.n,
                    counted="rounds",
                ),
            ),
            remedy="time the baseline again, after a warm-up and on the same engine; wait for the "
            "device at both ends of a round",
            confirm=("specprof run --drafter none",),
            suspects=("meas/unequal-arms", "meas/no-device-sync"),
        )
        return Found(finding=finding)
