"""Rounds that draft nothing take longer than plain decoding.

Measures
    The wall time of a drafting run's rounds with K = 0, over plain steps at the same contexts.

Fires when
    The lower end of the ratio's 95% interval is 1.25 or more. At least 10 such rounds are needed.

Why this is a cost and not a bug
    They emit the right token. But a round for which a depth policy turns drafting off should cost
    no more than plain decoding.

Likely causes
    The draft still runs, or feeds its cache, with nothing to propose; the verify pass keeps its
    bookkeeping for one token; a slow lookup that finds nothing.

Confirm
    Look at the draft's forwards in rounds with K = 0: specprof export csv.

Does not see
    A run that always drafts.

Try it
    specprof run --drafter ngram --temperature 1: where nothing matches, nothing is drafted, and
    for this engine the rule should be clear
"""

from typing import ClassVar

from specprof.analysis import cost_model
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import ratio
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_PLAIN_STEPS = 1.25
MIN_ROUNDS = 10


class PlainRoundsSlow(Rule):
    """An interval of a ratio of times."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare rounds that drafted nothing with plain steps."""
        rounds, _ = evidence.timed, evidence.speculative
        idle = rounds.where(rounds.drafted == 0)
        if len(idle) < MIN_ROUNDS:
            title = f"{len(idle)} rounds drafted nothing, and {MIN_ROUNDS} are needed"
            raise MissingEvidence(title, "record a run whose depth policy may ask for K = 0")
        plain_ns = cost_model.plain_times(evidence, idle.context)
        seen = ratio(idle.wall_ns.astype(float), plain_ns)
        if seen.low < MIN_PLAIN_STEPS:
            least = f"{MIN_PLAIN_STEPS} plain steps a round at K = 0"
            return Clear(detectable=f"{least}; seen {seen.value:.2f} over {seen.n:,} rounds")
        forwards = float(idle.draft_forwards.mean())
        finding = Finding(
            message=f"a round that drafts nothing takes {seen.value:.2f} times as long as a plain "
            f"step, with {forwards:.1f} draft forwards",
            measures=(
                Measure(
                    name="round at K = 0 / plain step",
                    value=seen.value,
                    n=seen.n,
                    counted="rounds",
                    low=seen.low,
                    high=seen.high,
                ),
                Measure(
                    name="draft forwards per round at K = 0",
                    value=forwards,
                    n=len(idle),
                    counted="rounds",
                ),
            ),
            remedy="go straight to a plain step where K is 0, and let the draft catch up later",
            confirm=("specprof run --drafter none",),
            suspects=("perf/disabled-path-not-free",),
        )
        return Found(finding=finding)
