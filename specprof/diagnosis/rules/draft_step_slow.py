"""A draft step takes far longer than the draft's size explains.

Measures
    The time of a draft step over a plain target step, against the draft's share of the target's
    layers or of its bytes, the larger of the two: kernel launches bound small models, and there is
    a number of launches for each layer.

Fires when
    The step takes 1.75 times its share or more, and at least a third of a plain step, at the lower
    end of the 95% interval.

Why this is a cost and not a bug
    The drafts are right. But a draft of few layers that is as slow as its target is not computing:
    it waits for launches, or runs on another device.

Likely causes
    Draft steps launched kernel by kernel while the target's run as a captured graph; a draft left
    on the host, or on more devices than it can use.

Confirm
    Look at a timeline of one round (specprof export speedscope), and at the device of the draft's
    parameters.

Does not see
    A draft that is simply large: its share is large too. draft-too-expensive says whether it pays.

Try it
    specprof drill slow-draft
"""

from typing import ClassVar

from specprof.analysis import cost_model
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import ratio
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage

MIN_TIMES_SHARE = 1.75
MIN_PLAIN_STEPS = 1 / 3
"""A cheaper draft step matters little."""


class DraftStepSlow(Rule):
    """A ratio of times against a ratio of sizes."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the step's cost with the draft's share."""
        cost, share = evidence.ask(cost_model.costs), _share(evidence)
        if not cost.has_baseline:
            raise MissingEvidence("plain steps were not timed", "record with --plain-steps 6")
        rounds, drafting = evidence.speculative, evidence.rounds.drafted > 0
        steps = evidence.columns.spans["draft"][drafting].astype(float)
        step = ratio(steps, rounds.levels.astype(float))
        low = step.low / cost.plain_step_ns
        most = max(MIN_TIMES_SHARE * share, MIN_PLAIN_STEPS)
        if low < most:
            times = cost.draft_step_ns / cost.plain_step_ns
            seen = f"seen {times:.2f} over {step.n:,} rounds"
            return Clear(detectable=f"a draft step above {most:.2f} plain steps; {seen}")
        value = step.value / cost.plain_step_ns
        finding = Finding(
            message=f"a draft step takes {value:.2f} of a plain target step, {value / share:.1f} "
            f"times as much as the draft's size explains ({share:.2f})",
            measures=(
                Measure(
                    name="draft step / plain target step",
                    value=value,
                    n=step.n,
                    counted="rounds",
                    low=low,
                    high=step.high / cost.plain_step_ns,
                ),
                Measure(name="draft / target, layers or bytes", value=share),
                Measure(
                    name="draft step", value=step.value / 1e6, unit="ms", n=step.n, counted="rounds"
                ),
            ),
            remedy="capture the draft's step as one graph; check that its parameters are on the "
            "target's device",
            confirm=("specprof export speedscope <capture>",),
            suspects=("perf/draft-eager", "perf/draft-on-wrong-device"),
        )
        return Found(finding=finding)


def _share(evidence: Evidence) -> float:
    """Return the draft's share of the target's layers or of its bytes, the larger of the two."""
    target, draft = evidence.header.target, evidence.header.draft
    if not target or not draft or "draft" not in evidence.columns.spans:
        hint = "only a draft with a model of its own has a share of the target's"
        raise MissingEvidence("the draft's size isn't known", hint)
    layers = draft.layers / max(target.layers, 1)
    weights = draft.weight_bytes / target.weight_bytes if target.weight_bytes else 0.0
    return max(layers, weights)
