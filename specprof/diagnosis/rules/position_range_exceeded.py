"""Acceptance falls past the context length the draft was trained on.

Measures
    accepted per reached drafted token, in a tree per reached level, up to the draft's trained
    context, and beyond it.

Fires when
    It is lower beyond by 5 points or more, and blocks of neighbouring rounds dealt out at random
    seldom show such a step. While a run goes on that is asked when 100 places beyond are reached,
    then 400, 1,600 and so on, five times at most, each at a fifth of the error rate; once it has
    ended, of all of it at the whole rate. So a run without a step is said to have one at twice the
    rate of one test at most, however often one looks.

Why this is a mismatch and not a bug
    The position of the fall is one of the draft's own configuration numbers, and the cache-free
    recheck, where there is one, agrees with the run. The draft does what it was trained for.

Likely causes
    A draft trained, or a RoPE scaling declared, for shorter texts than the target; long texts on
    another subject than their beginnings.

Confirm
    Record the same depths with a draft of longer training; or feed the draft a short view only.

Does not see
    A decay inside the trained range; a draft whose configuration names no length.

Try it
    specprof run --backend synthetic --context 20000 --temperature 1
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.acceptance import Step, step_at
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

DROP = 0.05
FIRST, APART, LOOKS = 100, 4, 5
"""Places beyond when the step is first asked for, times as many the next time, how often."""


class PositionRangeExceeded(Rule):
    """A block-permutation test at one known length."""

    family: ClassVar[Family] = "mismatch"
    stage: ClassVar[Stage] = Stage.MISMATCH

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare acceptance on both sides of the draft's trained context."""
        draft = evidence.header.draft
        if draft is None or draft.trained_context is None:
            title = "the draft's trained context is not known"
            raise MissingEvidence(title, "use a draft whose configuration names it")
        trained = draft.trained_context
        if evidence.reached.context.max() < trained:
            return Clear(detectable=f"nothing beyond the draft's trained context of {trained:,}")
        step = step_at(_asked(evidence, trained), trained)
        if step is None:
            return Unknown(reason=f"under 100 {evidence.place}s on one side of context {trained:,}")
        drop = step.before.value - step.beyond.value
        if drop < DROP:
            return Clear(detectable=f"a fall of {DROP:.0%} at {trained:,}; seen {drop:.1%}")
        if step.p_value > evidence.alpha / (LOOKS if evidence.live else 1):
            return Unknown(reason=f"a fall of {drop:.1%} at {trained:,}, p = {step.p_value:.2g}")
        if _state_astray(evidence):
            return Unknown(reason="a wrong state explains the fall as well: mend that first")
        return Found(finding=_finding(step, evidence.place))


def _asked(evidence: Evidence, trained: int) -> Columns:
    """Return the columns as they stood when the step was last due to be asked for."""
    rounds = evidence.rounds
    beyond = np.cumsum(np.where(rounds.context >= trained, rounds.reached_levels, 0))
    if not evidence.live or beyond[-1] < FIRST:
        return evidence.columns
    look = min(int(np.log(beyond[-1] / FIRST) / np.log(APART)), LOOKS - 1)
    return evidence.columns.first(int((beyond < FIRST * APART**look).sum()) + 1)


def _state_astray(evidence: Evidence) -> bool:
    try:
        drift = evidence.ask(attribution.drift)
    except MissingEvidence:
        return False
    return min(drift.draft.p_value, drift.target.p_value) <= evidence.alpha


def _finding(step: Step, place: str) -> Finding:
    near, far = step.before, step.beyond
    return Finding(
        suspects=("mismatch/context-beyond-training",),
        message=f"acceptance falls from {near.value:.1%} to {far.value:.1%} of {place}s past "
        f"the draft's trained context of {step.context:,}",
        measures=(
            Measure(
                name=f"accepted per {place}, in range",
                value=near.value,
                n=near.n,
                low=near.low,
                high=near.high,
            ),
            Measure(
                name=f"accepted per {place}, beyond",
                value=far.value,
                n=far.n,
                low=far.low,
                high=far.high,
            ),
            Measure(name="block-permutation p-value", value=step.p_value),
        ),
        remedy="draft from a window of recent tokens, use a draft trained for longer texts, or "
        "draft less past that length",
        confirm=("specprof run --draft <one trained for longer texts>",),
        headline=True,
    )
