"""Speculation is slower than plain decoding.

Measures
    Plain time per token over speculative time per token, at the same contexts. Plain times come
    from the plain steps timed beside each burst, or from a baseline capture. Without both, the
    verify pass takes the place of a plain step, which gives an upper bound.

Fires when
    The 95% interval of the speed-up, or the upper bound itself, lies below 1.

Why this is a cost and not a bug
    Every token may be right and every draft accepted as owed, and the round may still cost more
    time than its tokens save. The waterfall names the term.

Likely causes
    A draft that costs more than it adds, a depth too deep, a verify pass that costs much more than
    a plain step (small models on a CPU, mixtures of experts), a host gap.

Confirm
    Record a baseline of the same target, text and depths: specprof run --drafter none.

Does not see
    Batch effects; a baseline of another engine that is faster still.

Try it
    specprof drill slow-draft
"""

from typing import ClassVar

from specprof.analysis import cost_model
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Estimate
from specprof.diagnosis.rules._terms import case_of_dearest_term
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown


class NoSpeedup(Rule):
    """An interval where there is a baseline, else a bound."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare with plain decoding, as far as its time is known."""
        cost, rounds = evidence.ask(cost_model.costs), len(evidence.speculative)
        try:
            gain = evidence.ask(cost_model.speedup)
        except MissingEvidence as missing:
            bound = cost.tau * cost.plain_step_ns / cost.round_ns
            if bound >= 1:
                return Unknown(reason=f"{missing.title}: at most {bound:.2f}x; {missing.hint}")
            return Found(finding=_finding(f"no more than {bound:.2f}", None, bound, cost, rounds))
        if gain.high >= 1:
            return Clear(
                detectable=f"a speed-up below 1; measured {gain.value:.2f}x "
                f"({gain.low:.2f} to {gain.high:.2f}) over {gain.n:,} rounds"
            )
        return Found(finding=_finding(f"{gain.value:.2f}", gain, gain.value, cost, rounds))


def _finding(
    times: str, gain: Estimate | None, value: float, cost: cost_model.Costs, rounds: int
) -> Finding:
    needed = cost_model.break_even(cost)
    pays = "no acceptance would pay"
    if needed is not None:
        pays = f"it would break even at alpha = {needed:.0%}"
    return Finding(
        message=f"speculation runs at {times} times the speed of plain decoding; at these costs "
        f"{pays}",
        measures=(
            Measure(
                name="speed-up over plain decoding" + ("" if gain else ", upper bound"),
                value=value,
                unit="x",
                n=gain.n if gain else rounds,
                counted="rounds",
                low=gain.low if gain else None,
                high=gain.high if gain else None,
            ),
            Measure(
                name="emitted per round", value=cost.tau, unit="tokens", n=rounds, counted="rounds"
            ),
            Measure(
                name="time per round",
                value=cost.round_ns / 1e6,
                unit="ms",
                n=rounds,
                counted="rounds",
            ),
            Measure(name="plain step", value=cost.plain_step_ns / 1e6, unit="ms"),
        ),
        remedy="reduce the largest term of the waterfall: fewer or cheaper draft steps, a cheaper "
        "verify pass, less time on the host; or decode plainly",
        confirm=("specprof run --drafter none",),
        suspects=(case_of_dearest_term(cost),),
    )
