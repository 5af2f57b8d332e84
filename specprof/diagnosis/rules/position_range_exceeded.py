"""Acceptance falls past the context length the draft was trained on.

Measures
    accepted per reached drafted token, in a tree per reached level, up to the draft's trained
    context, and beyond it.

Fires when
    It is lower beyond that length by 5 points or more, and a random permutation of blocks of
    neighbouring rounds seldom shows such a step. While a run goes on, this is tested after 100
    places beyond the length, then after 400, 1,600 and so on, five times at most, each at a fifth
    of the error rate. Once the run has ended, the whole run is tested at the whole rate. So the
    rule reports a step in a run without one at twice the rate of one test at most, however often it
    is asked.

Why this is a mismatch and not a bug
    The fall is where the draft's own configuration ends its trained range, and the cache-free
    recheck, where there is one, agrees with the run. The draft does what it was trained for.

Likely causes
    A draft trained, or a RoPE scaling declared, for shorter texts than the target's; long texts
    whose later parts are on another subject.

Confirm
    Record the same depths with a draft trained on longer texts; or show the draft recent tokens
    only.

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

MIN_DROP = 0.05
FIRST_LOOK_PLACES, LOOK_RATIO, MAX_LOOKS = 100, 4, 5
"""Places beyond the length at the first test; factor to the next test; number of tests."""


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
        step = step_at(_columns_at_look(evidence, trained), trained)
        if step is None:
            few = f"fewer than 100 {evidence.place}s"
            return Unknown(reason=f"{few} on one side of context {trained:,}")
        drop = step.before.value - step.beyond.value
        if drop < MIN_DROP:
            return Clear(detectable=f"a fall of {MIN_DROP:.0%} at {trained:,}; seen {drop:.1%}")
        if step.p_value > evidence.alpha / (MAX_LOOKS if evidence.live else 1):
            fall = f"a fall of {drop:.1%} at context {trained:,}"
            return Unknown(reason=f"{fall} may be chance, p = {step.p_value:.2g}")
        if _state_is_wrong(evidence):
            return Unknown(reason="a wrong state may also explain the fall: mend the state first")
        return Found(finding=_finding(step, evidence.place))


def _columns_at_look(evidence: Evidence, trained: int) -> Columns:
    """Return the columns as they were when the last test was due."""
    rounds = evidence.rounds
    beyond = np.cumsum(np.where(rounds.context >= trained, rounds.reached_levels, 0))
    if not evidence.live or beyond[-1] < FIRST_LOOK_PLACES:
        return evidence.columns
    look = min(int(np.log(beyond[-1] / FIRST_LOOK_PLACES) / np.log(LOOK_RATIO)), MAX_LOOKS - 1)
    due = FIRST_LOOK_PLACES * LOOK_RATIO**look
    return evidence.columns.first(int((beyond < due).sum()) + 1)


def _state_is_wrong(evidence: Evidence) -> bool:
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
