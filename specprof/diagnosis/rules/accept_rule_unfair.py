"""Drafts stand more often, or less often, than the acceptance owed to them.

Measures
    accepted - owed per reached drafted token (per reached level in a tree), where owed = min(1,
    target / draft) of that token, 0 or 1 under greedy, target under exact-match; drafts that could
    not stand and did; drafts that had to and did not.

Fires when
    A draft that could not stand did, or one that had to stand did not (rounding and near ties of
    the logits excused); or the test martingale of theory 3.2 over the other places passes the
    error rate of 0.2 % a test, 1 % for all tests together, however often one looks.

Why this is a bug and not a mismatch
    The owed acceptance already contains the mismatch of the two models, token by token. A bad
    draft is owed little and gets little: the difference has mean 0 whatever its quality.

Likely causes
    Too lenient: drafts accepted without a check, a threshold where a ratio is due. Too strict:
    comparison by equality, the ratio taken from a neighbouring row, a coin used twice.

Confirm
    A greedy run: every outcome is certain there, and one violation is proof.

Does not see
    Errors smaller than the limit it states; a wrong law that both the coin and the observer use;
    what the correction is drawn from (residual-unsupported). Rules that decide a round's drafts
    together (block) or give up the target's law (typical): no draft is owed anything there.

Try it
    specprof drill always-accept
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import attribution
from specprof.analysis.attribution import Coins
from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome


class AcceptRuleUnfair(Rule):
    """An always-valid test, and exact where the outcome was certain."""

    family: ClassVar[Family] = "bug"
    row: ClassVar[float] = 5.5
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Test the coins, both ways."""
        coins = evidence.ask(attribution.coins)
        certain = len(coins.accepted_wrongly) + len(coins.rejected_wrongly)
        if not certain and coins.trial.p_value > evidence.alpha:
            limit = f"a bias of {coins.trial.detectable:.1%} of {coins.trial.n:,} open places; "
            limit = limit if coins.trial.n else ""
            return Clear(detectable=f"{limit}one impossible outcome of {len(evidence.places):,}")
        chain = evidence.ask(attribution.attribute)
        part = chain.accept_rule
        finding = Finding(
            message=_message(coins, part.frac.value),
            measures=(
                Measure(
                    name=f"accepted - owed per {chain.counted}",
                    value=-part.frac.value,
                    n=chain.reached,
                    low=-part.frac.high,
                    high=-part.frac.low,
                ),
                Measure(name="impossible outcomes", value=certain, n=len(evidence.places)),
                Measure(name="always-valid p-value", value=coins.trial.p_value, n=coins.trial.n),
            ),
            remedy="accept a draft when a fresh uniform number is below target / draft of that "
            "very token, both after all processing (arXiv 2211.17192, algorithm 1)",
            confirm=("specprof run --temperature 0",),
            rounds=_rounds(coins),
            headline=True,
        )
        return Found(finding=finding)


def _message(coins: Coins, rejected_unduly: float) -> str:
    if len(coins.accepted_wrongly) > len(coins.rejected_wrongly):
        return "the accept step lets drafts stand that the target gives no chance"
    if len(coins.rejected_wrongly):
        return "the accept step rejects drafts that had to stand"
    way = "more" if rejected_unduly < 0 else "less"
    return f"the accept step lets drafts stand {way} often than they are owed"


def _rounds(coins: Coins) -> tuple[int, ...]:
    both = np.concatenate([coins.accepted_wrongly, coins.rejected_wrongly])
    return tuple(np.unique(both)[:5].tolist())
