"""Drafts stand more often, or less often, than the acceptance owed to them.

Measures
    accepted - owed per reached drafted token (per reached level in a tree), where owed = min(1,
    target / draft) of that token, 0 or 1 under greedy, target under exact-match; drafts that could
    not stand and did; drafts that had to and did not.

Fires when
    A draft that could not stand did, or one that had to stand did not (rounding and near ties of
    the logits excused); or the test martingale of theory 3.2 over the other places passes the
    error rate of 0.1% a test, 1% for all tests together, however often one looks.

Why this is a bug and not a mismatch
    The owed acceptance already contains the mismatch of the two models, token by token. A bad
    draft is owed little and gets little: the difference has mean 0 whatever its quality.

Likely causes
    The law that explains the coins best is named: always, one draft index unchecked or only the
    first checked, an inverted ratio, a share of the target's first choice, a threshold, a ratio
    too large or too small. Equality with the target's own draw is another rule and no bug
    (another-accept-rule).

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

from specprof.analysis import accept_laws, attribution, emitted_law
from specprof.analysis.accept_laws import CoinPattern
from specprof.analysis.attribution import Coins
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import first_rounds
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where

SURE = 3.0
"""Nats by which one law must explain the coins better than the next to be named."""
LEAKS, NEARLY_ALL, UNLIKELY = 5, 0.8, 0.05
"""Rejections that could not be; the share of them that one token follows; its target_prob."""
Kind = tuple[str, tuple[str, ...]]
"""What is wrong, and the case of the catalogue."""


class AcceptRuleUnfair(Rule):
    """An always-valid test, and exact where the outcome was certain."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.ACCEPT_RULE
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Test the coins, both ways."""
        coins = evidence.ask(attribution.coins)
        certain = len(coins.accepted_wrongly) + len(coins.rejected_wrongly)
        if not certain and coins.trial.p_value > evidence.alpha:
            limit = f"a bias of {coins.trial.detectable:.1%} of {coins.trial.n:,} open places; "
            limit = limit if coins.trial.n else ""
            return Clear(detectable=f"{limit}one impossible outcome of {len(evidence.places):,}")
        if evidence.ask(accept_laws.by_equality):
            return Unknown(reason="another accept rule is in force, and its own coins are fair")
        return Found(finding=_finding(evidence, coins, certain))


def _finding(evidence: Evidence, coins: Coins, certain: int) -> Finding:
    chain = evidence.ask(attribution.attribute)
    part = chain.accept_rule
    told, suspects = _kind(evidence, coins)
    return Finding(
        message=f"{_message(coins, part.frac.value)}{told}",
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
        where=_where(evidence),
        suspects=suspects,
        headline=True,
    )


def _message(coins: Coins, rejected_unduly: float) -> str:
    if len(coins.accepted_wrongly) > len(coins.rejected_wrongly):
        return "the accept step lets drafts stand that the target gives no chance"
    if len(coins.rejected_wrongly):
        return "the accept step rejects drafts that had to stand"
    way = "more" if rejected_unduly < 0 else "less"
    return f"the accept step lets drafts stand {way} often than they are owed"


def _kind(evidence: Evidence, coins: Coins) -> Kind:
    """Name the rule that is really in force, as far as the coins tell it."""
    found, places = evidence.ask(accept_laws.explain_coins), evidence.places
    if places.accepted.all():
        return ": every single one", ("accept/always-accept",)
    if found.unchecked is not None:
        return ": the first draft of a round is not checked", ("verify/first-draft-unchecked",)
    if _other_law(evidence, coins):
        return (
            ": the target's law is not the processed one",
            ("accept/target-not-filtered",),
        )
    if found.checked is not None:
        return (
            ": only the first draft of a round is judged by its own row",
            ("verify/rows-swapped-topk-args",),
        )
    leaked = _leaked(evidence, coins)
    if leaked is not None:
        told = (
            f"; each time token {leaked} comes in their place, which the target all but rules out"
        )
        return told, ("accept/nan-draft-row",)
    return _by_bank(evidence, found)


def _leaked(evidence: Evidence, coins: Coins) -> int | None:
    """Return the one token that follows nearly every rejection that could not be, if one does.

    A row without numbers fails every comparison, and its empty residual has one fixed answer.
    """
    rows = evidence.row(coins.rejected_wrongly)
    rows = rows[evidence.rounds.emitted[rows] == evidence.rounds.accepted[rows] + 1]
    if len(rows) < LEAKS:
        return None
    ends = evidence.rounds.emitted.cumsum() - 1
    tokens = evidence.columns.emitted.token[ends[rows]]
    ids, counts = np.unique(tokens, return_counts=True)
    usual = int(ids[counts.argmax()])
    same = tokens == usual
    little = evidence.rounds.final_target_prob[rows][same] < UNLIKELY
    return usual if same.mean() > NEARLY_ALL and little.mean() > NEARLY_ALL else None


def _by_bank(evidence: Evidence, found: CoinPattern) -> Kind:
    best = found.best
    lenient = best.name.endswith("times the ratio")
    if lenient and float(best.name.split()[0]) > 1 and _filtered(evidence):
        told = ": the draft's law is handed over without the filters its tokens went through"
        return told, ("accept/q-unfiltered-tokens-filtered",)
    if best.name == "always" and best.lead > SURE:
        return ": nearly all of them", ("accept/always-accept",)
    if best.name == "declared":
        return "", ("accept/wrong-ratio",)
    return f"; what explains it best is '{best.name}'", ("accept/wrong-ratio",)


def _other_law(evidence: Evidence, coins: Coins) -> bool:
    """Return whether finals, too, are drawn from another target law than the processed one."""
    settings = evidence.settings
    if evidence.greedy or not (_filtered(evidence) or settings.temperature != 1):
        return False
    found = evidence.ask(emitted_law.finals)
    free = evidence.ask(emitted_law.bonuses)
    if _filtered(evidence) and len(coins.accepted_wrongly):
        return bool((found.target_prob == 0).any())
    return free.p_value <= evidence.alpha


def _filtered(evidence: Evidence) -> bool:
    return evidence.settings.top_k > 0 or evidence.settings.top_p < 1


def _where(evidence: Evidence) -> Where | None:
    """Return the first outcome that could not be, or that had to be and was not."""
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
