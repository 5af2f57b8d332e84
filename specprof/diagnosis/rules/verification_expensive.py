"""Verifying the drafts costs several plain steps.

Measures
    The time of the median verify pass over a plain step at the same contexts, and the plain steps
    that each verified token after the first adds.

Fires when
    Each token after the first adds a quarter of a plain step or more, at the lower end of the 95%
    interval: verifying four drafts then costs two plain steps.

Why this is a cost and not a bug
    The pass gives the right answers. But it reads the weights only once for all its tokens, and a
    pass bound by that read costs little more than a plain step (theory 5.5).

Likely causes
    A kernel made for prompts takes over from some width on (a step in the curve); a mixture of
    experts reads the experts of every token (in proportion to the width from 2 on); with a batch,
    the device is busy already.

Confirm
    Measure the curve with runs of several depths: specprof run --depth 1, 2, 4, 8.

Does not see
    A baseline that is slow for the same reason; from one depth, the width at which it begins.

Try it
    specprof drill perf/verify-kernel-cliff
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.verify_cost import VerifyCost, verify_cost
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_PLAIN_STEPS_PER_TOKEN = 0.25
CLIFF, EXPERTS, BATCH = (
    "perf/verify-kernel-cliff",
    "perf/moe-expert-union",
    "perf/batch-saturation",
)
SPARSE_ARCHITECTURES = ("moe", "mixtral", "expert", "deepseek")


class VerificationExpensive(Rule):
    """The interval of the verify pass's cost, for each token."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare a verify pass with a plain step."""
        curve = evidence.ask(verify_cost)
        if curve.least_marginal < MIN_PLAIN_STEPS_PER_TOKEN:
            least = f"{MIN_PLAIN_STEPS_PER_TOKEN} plain steps a verified token"
            seen = f"seen {curve.marginal:.2f} over {curve.inflation.n:,} verify passes"
            return Clear(detectable=f"{least}; {seen}")
        return Found(finding=_finding(curve, _suspects(evidence, curve)))


def _suspects(evidence: Evidence, curve: VerifyCost) -> tuple[str, ...]:
    """Return the likely cases, from the shape of the curve and from the header."""
    target = evidence.header.target
    sparse = target and any(word in target.architecture.lower() for word in SPARSE_ARCHITECTURES)
    if evidence.settings.batch > 1:
        return BATCH, CLIFF
    return (EXPERTS, CLIFF) if sparse or _is_proportional(curve) else (CLIFF, EXPERTS)


def _is_proportional(curve: VerifyCost) -> bool:
    """Return whether every width costs about as many plain steps as it has tokens."""
    plain, *wider = curve.widths
    each = [width.ns / plain.ns / width.tokens for width in wider]
    return bool(each) and all(0.9 < ratio < 1.3 for ratio in each)  # noqa: PLR2004 - a line's slack


def _finding(curve: VerifyCost, suspects: tuple[str, ...]) -> Finding:
    inflation = curve.inflation
    return Finding(
        message=f"verifying {curve.mean_width:.1f} tokens costs {inflation.value:.1f} plain steps: "
        f"each token after the first adds {curve.marginal:.2f}",
        measures=(
            Measure(
                name="verify pass / plain step",
                value=inflation.value,
                n=inflation.n,
                counted="forwards",
                low=inflation.low,
                high=inflation.high,
            ),
            Measure(
                name="plain steps per token after the first",
                value=curve.marginal,
                n=inflation.n,
                counted="forwards",
            ),
            *(
                Measure(
                    name=f"forward of {each.tokens}",
                    value=each.ns / 1e6,
                    unit="ms",
                    n=each.n,
                    counted="forwards",
                )
                for each in curve.widths
            ),
        ),
        remedy="choose K just below the step of the curve, or use a kernel for few tokens; with a "
        "mixture of experts or a busy batch, use a small K or none",
        confirm=("specprof run --depth 1",),
        suspects=suspects,
    )
