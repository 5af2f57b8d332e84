"""A draft step costs more than its acceptance can win back, at any depth.

Measures
    c, the time of a draft step over a plain target step, and alpha, accepted per reached token. In
    a tree a step drafts a level, and alpha is accepted per reached level.

Fires when
    alpha's 95% interval lies below c. Where plain steps were not timed, the verify pass is taken
    instead, which understates c.

Why this is a cost and not a bug
    With alpha <= c no depth improves on plain decoding (arXiv 2211.17192, corollary 3.9), even if
    everything else costs nothing.

Likely causes
    A draft nearly as large as the target, or with as many layers: kernel launches bound small
    models, so c follows the number of layers, not of parameters; a draft on a slower device.

Confirm
    Run a smaller draft, or an n-gram drafter, at the same depth.

Does not see
    A draft that pays at depth 1 and not at the depth asked for: depth-too-deep sees that.

Try it
    specprof drill slow-draft
"""

from typing import ClassVar

from specprof.analysis import cost_model
from specprof.analysis.acceptance import alpha_cond
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage


class DraftTooExpensive(Rule):
    """Leviathan's corollary 3.9, from measured times."""

    family: ClassVar[Family] = "cost"
    stage: ClassVar[Stage] = Stage.COST
    judges_times: ClassVar[bool] = True

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare the acceptance alpha with the cost ratio c."""
        cost, alpha = evidence.ask(cost_model.costs), alpha_cond(evidence.columns)
        if alpha is None:
            raise MissingEvidence("no drafted token was reached", "record a run that drafts")
        share = cost.draft_step_ns / cost.plain_step_ns
        if alpha.high >= share:
            seen = f"seen {alpha.value:.2f} over {alpha.n:,} rounds"
            return Clear(detectable=f"alpha below c = {share:.2f}; {seen}")
        reached = "levels" if evidence.columns.trees else "drafts"
        least = "" if cost.has_baseline else "at least "
        finding = Finding(
            message=f"a draft step costs {least}{share:.0%} of a target step, and only "
            f"{alpha.value:.0%} of reached {reached} are accepted: no depth pays",
            measures=(
                Measure(name="draft step / target step", value=share, n=alpha.n, counted="rounds"),
                Measure(
                    name=f"accepted per {evidence.place}",
                    value=alpha.value,
                    n=alpha.n,
                    counted="rounds",
                    low=alpha.low,
                    high=alpha.high,
                ),
                Measure(
                    name="draft step",
                    value=cost.draft_step_ns / 1e6,
                    unit="ms",
                    n=alpha.n,
                    counted="rounds",
                ),
            ),
            remedy="use a draft with fewer layers, run its steps as one captured graph, or draft "
            "from the text itself (n-grams)",
            confirm=("specprof run --depth 1", "specprof run --drafter none"),
            suspects=("perf/draft-cost-ratio",),
        )
        return Found(finding=finding)
