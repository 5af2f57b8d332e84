"""Other work on the machine took processors from the run, so its times are not its own.

Measures
    The time that the loop's thread was ready to run and waited for a processor, per wall time of
    its work. Where the system doesn't count such waits, the least wait that the involuntary context
    switches explain, and no more than wall time less processor time.

Fires when
    The share is 15% or more. Verdicts on times then become Unknown; those on laws and on counts
    stay.

Why this is the measurement and not the engine
    A thread that waits for a processor computes nothing. The same run on a machine of its own takes
    less time, and each part of a round loses another share of it.

Likely causes
    Other processes on the same cores, such as a second run or a build; more threads than cores; a
    container whose share of the processors is small.

Confirm
    Record again on an idle machine, or with fewer threads.

Does not see
    Work of others on the same accelerator; a neighbour that takes memory bandwidth or lowers the
    clock but leaves the processors free; a wait of threads other than the loop's own.

Try it
    specprof run -o run.jsonl, while twice as many busy processes run as there are cores
"""

from collections.abc import Iterator
from typing import ClassVar

from specprof.analysis.contention import MAX_WAITED, Contention, contention, spread
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage


class RunContended(Rule):
    """Exact: counters of the system."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    undermines_times: ClassVar[bool] = True
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the time waited for a processor with the wall time."""
        seen = evidence.ask(contention)
        if seen.waited_frac < MAX_WAITED:
            limit = f"waits for a processor of {MAX_WAITED:.0%} of wall time"
            share = f"{seen.waited_frac:.1%} of {seen.wall_ns / 1e9:.1f} s"
            return Clear(detectable=f"{limit}; seen {share}")
        least = "" if seen.counted else "at least "
        finding = Finding(
            message="others used the processors: the loop was ready to run and waited for "
            f"{least}{seen.waited_frac:.0%} of {seen.wall_ns / 1e9:.1f} s{_say_switches(seen)}",
            measures=tuple(_measures(evidence, seen)),
            remedy="record again on an idle machine, with no more threads than there are free "
            "cores; until then trust no time of this run",
            confirm=("specprof run",),
        )
        return Found(finding=finding)


def _say_switches(seen: Contention) -> str:
    if seen.preempted is None or not seen.elapsed_ns:
        return ""
    return f", with {1e9 * seen.preempted / seen.elapsed_ns:,.0f} involuntary switches a second"


def _measures(evidence: Evidence, seen: Contention) -> Iterator[Measure]:
    n = len(evidence.columns.samples)
    yield Measure(
        name="waited for a processor per wall time", value=seen.waited_frac, n=n, counted="samples"
    )
    if seen.preempted is not None:
        value = 1e9 * seen.preempted / max(seen.elapsed_ns, 1.0)
        count = int(seen.preempted)
        yield Measure(
            name="involuntary switches", value=value, unit="per second", n=count, counted="switches"
        )
    if seen.processor_ns is not None:
        value = seen.elapsed_ns / max(seen.processor_ns, 1.0)
        yield Measure(
            name="wall time / processor time of the process", value=value, n=n, counted="samples"
        )
    try:
        equal = evidence.ask(spread)
    except MissingEvidence:
        return
    name = "difference of equal verify passes, per pass, median"
    yield Measure(name=name, value=equal.frac, n=equal.n, counted="pairs")
