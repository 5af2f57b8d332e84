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
    The finding names the accept law that fits the decisions best: accept always, one draft index
    not checked, only the first index checked, an inverted ratio, a share of the target's first
    choice, a threshold, a ratio too large or too small. Equality with the target's own draw is
    another rule and no bug (another-accept-rule).

Confirm
    Run greedily: every outcome is certain there, and one violation is proof.

Does not see
    Errors smaller than the limit it states; a wrong law that both the accept step and the recorder
    use; the law the correction is drawn from (residual-unsupported). Rules that decide a round's
    drafts together (block) or give up the target's law (typical): no draft is owed anything there.

Try it
    specprof drill always-accept
"""

from typing import ClassVar

import numpy as np

from specprof.analysis import accept_laws, attribution, emitted_law
from specprof.analysis.accept_laws import CoinPattern
from specprof.analysis.attribution import Coins
from specprof.analysis.evidence import Evidence
from specprof.analysis.row_shifts import row_shift
from specprof.analysis.tables import first_rounds
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown, Where

MIN_LEAD_NATS = 3.0
"""A law is named where it explains the decisions better than the next one by this much."""
MIN_WRONG_REJECTIONS = 5
MIN_SHARE_OF_ONE_TOKEN = 0.8
"""The share of those rejections that one token must follow."""
MAX_TARGET_PROB = 0.05
"""Below it the target all but rules that token out."""
Kind = tuple[str, tuple[str, ...]]
"""In words what is wrong, and the cases of the catalogue."""


class AcceptRuleUnfair(Rule):
    """An always-valid test, and exact where the outcome was certain."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.ACCEPT_RULE
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS

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
        return Found(finding=_finding(evidence, coins, certain))


def _finding(evidence: Evidence, coins: Coins, certain: int) -> Finding:
    chain = evidence.ask(attribution.attribute)
    part = chain.accept_rule
    kind, suspects = _name_kind(evidence, coins)
    return Finding(
        message=f"{_message(coins, part.frac.value)}{kind}",
        measures=(
            Measure(
                name=f"accepted - owed per {chain.counted}",
                value=-part.frac.value,
                n=chain.reached,
                low=-part.frac.high,
                high=-part.frac.low,
            ),
            Measure(name="impossible outcomes", value=certain, n=len(evidence.places)),
            *_test_of(coins),
        ),
        remedy="accept a draft when a fresh uniform number is below target / draft of that "
        "token, with both probabilities after all processing (arXiv 2211.17192, algorithm 1)",
        confirm=("specprof run --temperature 0",),
        rounds=_rounds(coins),
        where=_where(evidence),
        suspects=suspects,
        headline=True,
    )


def _message(coins: Coins, rejected_unduly: float) -> str:
    if len(coins.accepted_wrongly) > len(coins.rejected_wrongly):
        return "the accept step accepts drafts that the target gives no probability"
    if len(coins.rejected_wrongly):
        return "the accept step rejects drafts that had to be accepted"
    way = "more" if rejected_unduly < 0 else "less"
    return f"the accept step accepts drafts {way} often than they are owed"


def _name_kind(evidence: Evidence, coins: Coins) -> Kind:
    """Name the rule that is really in force, as far as the decisions show it."""
    found, places = evidence.ask(accept_laws.explain_coins), evidence.places
    if places.accepted.all():
        return ": it accepts all of them", ("accept/always-accept",)
    if found.unchecked is not None:
        return ": the first draft of a round is not checked", ("verify/first-draft-unchecked",)
    if _uses_another_law(evidence, coins):
        return (
            ": it uses another target law than the processed one",
            ("accept/target-not-filtered",),
        )
    if found.checked is not None:
        return (
            ": only the first draft of a round is judged by its own row",
            ("verify/rows-swapped-topk-args",),
        )
    leaked = _find_leaked_token(evidence, coins)
    if leaked is not None:
        instead = f"; token {leaked} follows each time, which the target all but rules out"
        return instead, ("accept/nan-draft-row",)
    return _name_best_law(evidence, found)


def _find_leaked_token(evidence: Evidence, coins: Coins) -> int | None:
    """Return the token that follows nearly every impossible rejection; None where none does.

    A row of NaN fails every comparison, and its empty residual always gives the same token.
    """
    rows = evidence.row(coins.rejected_wrongly)
    rows = rows[evidence.rounds.emitted[rows] == evidence.rounds.accepted[rows] + 1]
    if len(rows) < MIN_WRONG_REJECTIONS:
        return None
    ends = evidence.rounds.emitted.cumsum() - 1
    tokens = evidence.columns.emitted.token[ends[rows]]
    ids, counts = np.unique(tokens, return_counts=True)
    usual = int(ids[counts.argmax()])
    same = tokens == usual
    little = evidence.rounds.final_target_prob[rows][same] < MAX_TARGET_PROB
    share = min(float(same.mean()), float(little.mean()))
    return usual if share > MIN_SHARE_OF_ONE_TOKEN else None


def _name_best_law(evidence: Evidence, found: CoinPattern) -> Kind:
    best = found.best
    lenient = best.name.endswith("times the ratio")
    if lenient and float(best.name.split()[0]) > 1 and _is_filtered(evidence):
        unfiltered = ": the draft's law it is given lacks the filters that its tokens went through"
        return unfiltered, ("accept/q-unfiltered-tokens-filtered",)
    if best.name == "always" and best.lead > MIN_LEAD_NATS:
        return ": it accepts nearly all of them", ("accept/always-accept",)
    if best.name == "declared":
        unlike = evidence.greedy and (evidence.ask(emitted_law.finals).target_prob == 0).any()
        return "", () if unlike else ("accept/wrong-ratio",)
    return f"; the law that explains this best is '{best.name}'", ("accept/wrong-ratio",)


def _uses_another_law(evidence: Evidence, coins: Coins) -> bool:
    """Return whether final tokens, too, are drawn from another target law than the processed."""
    settings = evidence.settings
    if evidence.greedy or not (_is_filtered(evidence) or settings.temperature != 1):
        return False
    found = evidence.ask(emitted_law.finals)
    free = evidence.ask(emitted_law.bonuses)
    if _is_filtered(evidence) and len(coins.accepted_wrongly):
        return bool((found.target_prob == 0).any())
    return free.p_value <= evidence.alpha


def _is_filtered(evidence: Evidence) -> bool:
    return evidence.settings.top_k > 0 or evidence.settings.top_p < 1


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


def _test_of(coins: Coins) -> list[Measure]:
    """Return the test's p-value; empty where no outcome was left to chance."""
    if not coins.trial.n:
        return []
    return [Measure(name="always-valid p-value", value=coins.trial.p_value, n=coins.trial.n)]


def _rounds(coins: Coins) -> tuple[int, ...]:
    both = np.concatenate([coins.accepted_wrongly, coins.rejected_wrongly])
    return first_rounds(both)
