"""A correction is a token to which the residual law gives no mass.

Measures
    Rejections whose correction has target <= draft probability; rejections whose correction is
    the rejected token itself, or in a tree one of the siblings rejected there.

Fires when
    Any correction of a rejection-rule run is at least 0.1% likelier to the draft than to the
    target, or any correction equals the token just rejected. It must be in two rounds; of four
    rounds or fewer, in one (one round alone is capture-contradicts-itself).

Why this is a bug and not a mismatch
    After a rejection the token is drawn from max(target - draft, 0): it must be likelier to the
    target than to the draft (arXiv 2211.17192, section 2.3). The rejected token never is. That
    holds however much the two models disagree.

Likely causes
    The correction is drawn from the target's law unchanged, from the draft's, from a softmax over
    the residual, or from the row before or after. The likelihoods of the corrections decide which
    of the first three explains them best.

Confirm
    Compare long samples: this bug hardly changes the acceptance rate, but it changes the text's
    law.

Does not see
    A residual with the right support and wrong proportions (final-law-differs sees that);
    corrections of other accept rules.

Try it
    specprof drill residual-not-subtracted
"""

from typing import ClassVar

from specprof.analysis import accept_laws, emitted_law
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules import _finals
from specprof.diagnosis.rules._causes import WRONG_STEP
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown


class ResidualUnsupported(Rule):
    """Exact: unsupported corrections in two rounds are enough."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.EMISSION
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = WRONG_STEP | {"final-law-differs", "output-not-greedy"}

    def judge(self, evidence: Evidence) -> Outcome:
        """Look at each correction's two probabilities, and at the token it replaced."""
        if evidence.header.acceptance not in {"greedy", "rejection"}:
            title = f"the rule {evidence.header.acceptance!r} does not draw from the residual"
            raise MissingEvidence(title, "this check judges only the rules greedy and rejection")
        found = evidence.ask(emitted_law.finals)
        corrected = int(found.correction.sum())
        if not corrected:
            raise MissingEvidence("no correction was recorded", "record a longer run")
        wrong = _finals.find_unsupported(evidence, found)
        if not wrong.any():
            return Clear(detectable=f"one unsupported correction of {corrected:,}")
        if evidence.ask(accept_laws.by_equality):
            return Unknown(reason="another accept rule is in force, which leaves no residual")
        again = int((wrong & found.again).sum())
        how, suspects = _finals.explain(evidence)
        finding = Finding(
            message=f"{wrong.sum() / corrected:.1%} of corrections are tokens to which the "
            f"residual gives no mass: {how}",
            measures=(
                Measure(
                    name="unsupported per correction",
                    value=float(wrong.sum() / corrected),
                    n=corrected,
                ),
                Measure(
                    name="rejected token again per correction", value=again / corrected, n=corrected
                ),
            ),
            remedy="draw the correction from max(target - draft, 0), renormalised, of the "
            "rejected place's own row",
            rounds=first_rounds(found.round, wrong),
            where=_finals.find_first(
                evidence, lambda each: _finals.find_unsupported(evidence, each)
            ),
            suspects=suspects,
            headline=True,
        )
        return Found(finding=finding)
