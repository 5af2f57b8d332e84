"""Drafts are accepted more often, or less often, than they are owed.

Measures
    accepted - owed per reached drafted token (per reached level in a tree), where owed = min(1,
    target / draft) of that token, 0 or 1 under greedy, target under exact-match; drafts that could
    not be accepted and were; drafts that had to be accepted and were not.

Fires when
    A draft that could not be accepted was, or a draft that had to be accepted was not (rounding and
    near ties of the logits are excused); or the test martingale of theory 3.2 over the other places
    passes the error rate of 0.1% for one test, 1% for all tests together. The rate holds however
    often the test is asked.

Why this is a bug and not a mismatch
    The owed acceptance already contains the mismatch of the two models, token by token. A bad
    draft is owed little and gets little: the difference has mean 0 whatever the draft's quality.

Likely causes
    The finding names the accept law that explains the decisions, if one does so better than all
    others and passes a test of its own: accept always, one draft index not checked, only the first
    index checked, the target's law without temperature or filters or of another row, the draft's
    law of another step, an inverted ratio, a threshold, a factor on the ratio, random numbers that
    are not fresh. Equality with the target's own draw is another rule and no bug
    (another-accept-rule).

Confirm
    Run greedily: every outcome is certain there, and one violation is proof.

Does not see
    Errors smaller than the limit it states; a wrong law that both the accept step and the recorder
    use; the law the correction is drawn from (residual-unsupported); too many accepted drafts under
    exact-match where the text is the target's, for two draws by the same random numbers agree more
    often. Rules that decide a round's drafts together (block) or give up the target's law
    (typical): no draft is owed anything there.

Try it
    specprof drill always-accept
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import accept_laws, attribution
from specprof.analysis.attribution import Coins
from specprof.analysis.evidence import Evidence
from specprof.analysis.row_shifts import row_shift
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules._accept_kinds import name_kind
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where


class AcceptRuleUnfair(Rule):
    """An always-valid test, and exact where the outcome was certain."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.ACCEPT_RULE
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Test the accept decisions for too many and for too few accepted drafts."""
        coins = evidence.ask(attribution.coins)
        certain = len(coins.accepted_wrongly) + len(coins.rejected_wrongly)
        if not certain and coins.trial.p_value > evidence.alpha:
            limit = f"a bias of {coins.trial.detectable:.1%} over {coins.trial.n:,} open places; "
            limit = limit if coins.trial.n else ""
            return Clear(detectable=f"{limit}one impossible outcome in {len(evidence.places):,}")
        if (shifted := evidence.ask(row_shift)) and shifted.of_drafts:
            return Unknown(reason=f"{shifted.shift.message}: output-not-greedy says so")
        if evidence.ask(accept_laws.by_equality):
            return Unknown(reason="another accept rule is in force, and it decides fairly")
        if evidence.ask(accept_laws.shares_draws):
            return Unknown(reason="draft and target seem to draw by the same random numbers")
        return Found(finding=_finding(evidence, coins, certain))


def _finding(evidence: Evidence, coins: Coins, certain: int) -> Finding:
    chain = evidence.ask(attribution.attribute)
    part = chain.accept_rule
    kind = name_kind(evidence, coins)
    return Finding(
        message=kind.instead or f"{_message(coins, part.frac.value)}{kind.clause}",
        measures=(
            Measure(
                name=f"accepted - owed per {chain.counted}",
                value=-part.frac.value,
                n=chain.reached,
                low=-part.frac.high,
                high=-part.frac.low,
            ),
            Measure(name="impossible outcomes", value=certain, n=len(evidence.places)),
            *_open_places(coins),
        ),
        remedy=kind.remedy,
        confirm=("specprof run --temperature 0",),
        rounds=_rounds(coins),
        where=_where(evidence),
        suspects=kind.suspects,
        headline=True,
    )


def _open_places(coins: Coins) -> tuple[Measure, ...]:
    """Return the p-value of the places that the rule leaves open; none where there are none."""
    trial = coins.trial
    if not trial.n:
        return ()
    return (Measure(name="always-valid p-value", value=trial.p_value, n=trial.n),)


def _message(coins: Coins, rejected_unduly: float) -> str:
    if len(coins.accepted_wrongly) > len(coins.rejected_wrongly):
        return "the accept step accepts drafts that the target gives no probability"
    if len(coins.rejected_wrongly):
        return "the accept step rejects drafts that had to be accepted"
    way = "more" if rejected_unduly < 0 else "less"
    return f"the accept step accepts drafts {way} often than they are owed"


def _where(evidence: Evidence) -> Where | None:
    """Return the place of the first impossible outcome."""
    places = evidence.places
    wrong = (places.accept_owed == 0) & places.accepted
    wrong |= (places.accept_owed == 1) & ~places.accepted & evidence.greedy
    if not wrong.any():
        return None
    row = int(wrong.argmax())
    return Where(
        round=int(places.round[row]),
        context=int(places.context[row]),
        index=int(places.index[row]),
        event="where it was accepted" if places.accepted[row] else "where it was rejected",
        used=float(places.accepted[row]),
        clean=float(places.accept_owed[row]),
    )


def _rounds(coins: Coins) -> tuple[int, ...]:
    both = np.concatenate([coins.accepted_wrongly, coins.rejected_wrongly])
    return first_rounds(both)
