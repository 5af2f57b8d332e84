"""Corrections or bonus tokens are not drawn from the law that they should be drawn from.

Measures
    The place of each round's last token in its due law: the residual after a rejection, the
    target's law after an all-accepted round. The place is measured by likelihood (its rank) and in
    the order of ids; over true draws both have mean 1/2. Bonuses far down the target's law. Bonuses
    to which it gives no mass.

Fires when
    One of these means is not 1/2, or draws from a far tail come too often, by betting martingales
    (always valid; corrections and bonuses share one test's error rate); or a bonus has target
    probability 0, in two rounds at least where there are more than four.

Why this is a bug and not a mismatch
    The due law contains both models as they are. A true draw is as often in the upper half of its
    law's mass as in the lower half, whatever the law. That holds in the order of ids too, which is
    unrelated to likelihood: only a random number that was used before disturbs it.

Likely causes
    A bonus from the draft's row, or from another row of the target's; a residual not subtracted or
    put through a softmax; the random number of the rejection used again to draw the correction.

Confirm
    Make a longer run: a run twice as long has twice the evidence. The acceptance rate shows nothing
    here.

Does not see
    Anything at temperature 0, where nothing is drawn; corrections of block and typical acceptance;
    a wrong law with equal mean rank and order.

Try it
    specprof drill residual-not-subtracted
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import accept_laws, emitted_law
from specprof.analysis.emitted_law import Draw, Finals
from specprof.analysis.evidence import Evidence
from specprof.analysis.stats import Trial
from specprof.analysis.tables import Bools, first_rounds
from specprof.diagnosis.rules import _finals
from specprof.diagnosis.rules._causes import WRONG_STEP
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown


class FinalLawDiffers(Rule):
    """Always-valid tests of places in a law; exact for tokens without mass."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.EMISSION
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = WRONG_STEP

    def judge(self, evidence: Evidence) -> Outcome:
        """Test the places of corrections and of bonuses in their laws."""
        found = evidence.ask(emitted_law.finals)
        if evidence.greedy or evidence.header.lossless is False:
            title = "this run need not draw its tokens from the target's law"
            raise MissingEvidence(title, "record a run of a lossless rule above temperature 0")
        if np.isnan(found.rank).all():
            title = "no token's place in its law was recorded"
            raise MissingEvidence(title, "record a new run with --detail evidence")
        after, free = evidence.ask(emitted_law.corrections), evidence.ask(emitted_law.bonuses)
        outside = _mark_outside(found)
        p_value = 0.0 if outside.any() else min(2 * min(after.p_value, free.p_value), 1.0)
        if p_value > evidence.alpha:
            return Clear(
                detectable=f"{_say_limit(after, 'correction')}; {_say_limit(free, 'bonus')}; "
                "one bonus outside its law"
            )
        if evidence.ask(accept_laws.by_equality):
            return Unknown(reason="another accept rule is in force, which leaves no residual")
        message, suspects = _finals.explain(evidence)
        finding = Finding(
            message=message,
            measures=(
                *_measures(after, "correction"),
                *_measures(free, "bonus"),
                *_outside(found),
                Measure(name="always-valid p-value", value=p_value, n=len(found.round)),
            ),
            remedy="draw the correction from max(target - draft, 0), renormalised, and the bonus "
            "from the target's last row, each with a new random number",
            rounds=first_rounds(found.round, outside),
            where=_finals.find_first(evidence, _mark_outside),
            suspects=suspects,
            headline=True,
        )
        return Found(finding=finding)


def _mark_outside(found: Finals) -> Bools:
    return np.asarray((found.target_prob == 0) & ~found.correction)


def _outside(found: Finals) -> tuple[Measure, ...]:
    """Return the share of bonuses outside their law; none where no bonus was drawn."""
    bonuses = int((~found.correction).sum())
    if not bonuses:
        return ()
    share = float(_mark_outside(found).sum()) / bonuses
    return (Measure(name="outside the law per bonus", value=share, n=bonuses),)


def _say_limit(draw: Draw, kind: str) -> str:
    if not draw.rank.n:
        return f"no {kind} was drawn"
    return f"a mean rank off by {draw.rank.detectable / 2:.3f} per {kind}, of {draw.rank.n:,}"


def _measures(draw: Draw, kind: str) -> tuple[Measure, ...]:
    if not draw.rank.n:
        return ()
    return tuple(
        Measure(name=f"{what} in the law due per {kind}", value=0.5 + trial.mean / 2, n=trial.n)
        for what, trial in _named_trials(draw)
    )


def _named_trials(draw: Draw) -> tuple[tuple[str, Trial], ...]:
    return ("rank", draw.rank), ("order", draw.order)
