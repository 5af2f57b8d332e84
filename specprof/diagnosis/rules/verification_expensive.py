"""Verifying the drafts costs several plain steps.

Measures
    The median verify pass over a plain step at the same contexts, and what each verified token
    after the first adds, in plain steps.

Fires when
    Each token after the first adds a quarter of a plain step or more, at the lower end of the 95%
    interval: verifying four drafts costs two plain steps then.

Why this is a cost and not a bug
    The pass answers rightly. But reading the weights once should serve all its tokens, and a pass
    bound by that costs little more than a plain step (theory 5.5).

Likely causes
    A kernel made for prompts takes over from a certain width on (a step in the curve); a mixture of
    experts reads those of every token (in proportion to the width from 2 on); with a batch, a
    device that is busy already.

Confirm
    Runs of several depths give the curve: specprof run --depth 1, 2, 4, 8.

Does not see
    A baseline that is slow for the same reason; the width it begins at, from one depth.

Try it
    specprof drill perf/verify-kernel-cliff
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.analysis.verify_cost import VerifyCost, verify_cost
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MARGINAL = 0.25
"""Plain steps a verified token may add."""
CLIFF, EXPERTS, BATCH = (
    "perf/verify-kernel-cliff",
    "perf/moe-expert-union",
    "perf/batch-saturation",
)
SPARSE = ("moe", "mixtral", "expert", "deepseek")


class VerificationExpensive(Rule):
    """The inflation's interval, per token."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare a verify pass with a plain step."""
        curve = evidence.ask(verify_cost)
        if curve.least_marginal < MARGINAL:
            return Clear(
                detectable=f"{MARGINAL} plain steps a verified token; seen {curve.marginal:.2f}"
            )
        return Found(finding=_finding(curve, _suspects(evidence, curve)))


def _suspects(evidence: Evidence, curve: VerifyCost) -> tuple[str, ...]:
    """Tell a step from a line where the widths allow it; a batch or experts by the header."""
    target = evidence.header.target
    sparse = target and any(word in target.architecture.lower() for word in SPARSE)
    if evidence.settings.batch > 1:
        return BATCH, CLIFF
    return (EXPERTS, CLIFF) if sparse or _proportional(curve) else (CLIFF, EXPERTS)


def _proportional(curve: VerifyCost) -> bool:
    """Whether every width costs about as many plain steps as it has tokens."""
    plain, *wider = curve.widths
    each = [width.ns / plain.ns / width.tokens for width in wider]
    return bool(each) and all(0.9 < ratio < 1.3 for ratio in each)  # noqa: PLR2004 - a line's slack


def _finding(curve: VerifyCost, suspects: tuple[str, ...]) -> Finding:
    inflation = curve.inflation
    return Finding(
        message=f"verifying {curve.mean_width:.1f} tokens costs {inflation.value:.1f} plain steps: "
        f"each after the first adds {curve.marginal:.2f}",
        measures=(
            Measure(
                name="verify pass / plain step",
                value=inflation.value,
                n=inflation.n,
                low=inflation.low,
                high=inflation.high,
            ),
            Measure(name="plain steps per token after the first", value=curve.marginal),
            *(
                Measure(name=f"forward of {each.tokens}", value=each.ns / 1e6, unit="ms", n=each.n)
                for each in curve.widths
            ),
        ),
        remedy="choose K just below the step of the curve; a kernel for few tokens; with a mixture "
        "of experts or a busy batch, a small K or none",
        confirm=("specprof run --depth 1",),
        suspects=suspects,
    )
