"""A smaller K would give more tokens per second.

Measures
    Tokens per second predicted for each K up to the K that ran, from this run's accepted counts and
    the mean times of its phases.

Fires when
    Some smaller K gains 3% or more at the lower end of its 95% interval (block bootstrap over
    rounds). Where plain steps were not timed, the verify pass is assumed to cost as much at every
    K, which understates the gain.

Why this is a setting and not a bug
    A late draft index is accepted only if all before it are; each still costs a draft step.

Likely causes
    A depth copied from another pair, text or machine; acceptance that fell with the context.

Confirm
    Sweep the depth. An optimum at the edge of the sweep is not one yet: widen the sweep.

Does not see
    A larger K than the K that ran; an adaptive depth that beats every fixed K; trees, where less
    depth is another tree. The estimate for a smaller K reuses this run's rounds; the rounds of a
    real shallow run begin at other places (theory I9).

Try it
    specprof run --depth 16
"""

from typing import ClassVar

from specprof.analysis import cost_model
from specprof.analysis.cost_model import DepthChoice
from specprof.analysis.evidence import Evidence
from specprof.diagnosis.rules._terms import case_of_dearest_term
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

MIN_GAIN = 1.03
OVER_DRAFTING, MAX_NEVER_REACHED = "perf/over-drafting-or-gating", 0.5
"""The case that fits where more than this share of the drafted tokens is never reached."""
RUN_COMMAND = "specprof run"
PLAIN_COMMAND = f"{RUN_COMMAND} --drafter none"


class DepthTooDeep(Rule):
    """A prediction with a bootstrap interval."""

    family: ClassVar[Family] = "configuration"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Find the best K up to the one asked for."""
        if evidence.columns.trees:
            return Unknown(reason="a shallower tree is another tree: compare runs of both")
        choice = evidence.ask(cost_model.best_depth)
        gain = choice.gain
        if choice.best == choice.asked or gain.low < MIN_GAIN:
            at = f"at a K below {choice.asked}, over {gain.n:,} rounds"
            return Clear(detectable=f"a gain of {MIN_GAIN - 1:.0%} {at}")
        policy = evidence.settings.depth_policy
        rounds = evidence.speculative
        drafted = int(rounds.drafted.sum())
        idle = 1 - float(rounds.reached.sum()) / drafted
        wasted = bool(choice.best) or idle > MAX_NEVER_REACHED
        case = OVER_DRAFTING if wasted else case_of_dearest_term(evidence.ask(cost_model.costs))
        return Found(finding=_finding(choice, policy, case, idle, drafted))


def _finding(choice: DepthChoice, policy: str, case: str, idle: float, drafted: int) -> Finding:
    gain, fixed = choice.gain, policy == "fixed"
    asked = f"K = {choice.asked}" if fixed else f"K up to {choice.asked} (policy {policy})"
    instead = f"K {'=' if fixed else 'up to'} {choice.best}"
    remedy = f"set the depth to {choice.best}" + (
        "" if fixed else ", and the depth policy to fixed"
    )
    confirm = f"{RUN_COMMAND}{'' if fixed else ' --depth-policy fixed'} --depth {choice.best}"
    if not choice.best:
        remedy, confirm = f"{remedy}: plain decoding is faster than this draft", PLAIN_COMMAND
    return Finding(
        message=f"{asked} is too deep here: {instead} would give about {gain.value - 1:.0%} more "
        "tokens per second",
        measures=(
            Measure(
                name=f"tokens per second, K = {choice.best} / K = {choice.asked}",
                value=gain.value,
                n=gain.n,
                counted="rounds",
                low=gain.low,
                high=gain.high,
            ),
            Measure(
                name="never reached per drafted token",
                value=idle,
                n=drafted,
                counted="drafted tokens",
            ),
        ),
        remedy=remedy,
        confirm=(confirm,),
        suspects=(case,),
    )
