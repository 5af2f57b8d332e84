"""After a round, a cache does not hold the number of tokens that were committed and fed.

Measures
    The length of the target's and of the draft's cache, less the length due, per round; how much
    that changes in rounds with a rejection and in all-accepted rounds.

Fires when
    After any round the target's cache differs from committed - 1, or the draft's from the lesser
    of committed - 1 and context + K - 1: committed - 2 after an all-accepted round (theory I11).
    A draft that feeds every round anew (a tree, a head on the target's features) must end at the
    context the round began with. A loop that a user recorded may count in another way, or feed its
    draft once more by design: there a length is a bug only if recomputed answers are wrong too, and
    wrong behind the wrong lengths.

Why this is a bug and not a mismatch
    Lengths are counted, not estimated. A short cache makes a model predict from a text with holes
    in it, and a long cache from rejected tokens. On average both look like a bad draft.

Likely causes
    Short, growing with rejections: the rollback trims rejected + 1 tokens where rejected - 1 were
    due, because the draft was fed K tokens and the target K + 1. Short, growing with all-accepted
    rounds: the last draft is never fed. Long: the rollback did nothing. Long from a full window on:
    the rows that the rollback needs are gone. Nearly empty: the rollback emptied the cache. Wrong
    when a burst begins: the burst before left something behind, or only the last chunk of the
    prompt was fed.

Confirm
    Start again on the same prefix: a wrong cache is right there, and a mismatch stays.

Does not see
    Wrong entries in the right number: draft-state-drifts and target-state-drifts see those. The
    content of a cache that evicts: its length counts the evicted tokens as well. The draft's side,
    where its drafter is a plugin that isn't installed here: how it feeds its cache isn't known.

Try it
    specprof drill draft-cache-short
"""

from typing import ClassVar

import numpy as np

from specprof import limits
from specprof.analysis import attribution, onset, outcomes
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Floats, first_rounds
from specprof.diagnosis.rules._lengths import Shortfall
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import (
    Clear,
    Family,
    Finding,
    Found,
    Measure,
    Model,
    Outcome,
    Stage,
    Unknown,
    Where,
)

MIN_ASTRAY_BEHIND, MIN_TIMES_OFTENER = 0.5, 2.0
"""In a user's own loop so many rounds behind a wrong length are astray, and so much oftener than
the rounds behind a right one, if the length is a fault."""


class CacheLengthWrong(Rule):
    """Exact: one wrong length is enough."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.BOOKKEEPING
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare both caches' lengths with the tokens committed and fed."""
        due = _due_lengths(evidence)
        lengths: dict[Model, Floats] = {
            "target": evidence.rounds.target_length,
            "draft": evidence.rounds.draft_length,
        }
        short = {role: due[role] - lengths[role] for role in due}
        known = {role: ~np.isnan(each) for role, each in short.items()}
        if not any(each.any() for each in known.values()):
            title = "no cache lengths were recorded"
            raise MissingEvidence(title, "record with --detail rounds or evidence")
        excused = list[str]()
        for role, each in short.items():
            wrong = known[role] & (each != 0)
            if not wrong.any():
                continue
            if excuse := _excuse(evidence, role, known[role], wrong):
                excused.append(excuse)
                continue
            fault = Shortfall(evidence, role, each, due[role])
            return Found(finding=_finding(fault, wrong))
        if excused:
            return Unknown(reason="; ".join(excused))
        checked = ", ".join(f"{role} {each.sum():,}" for role, each in known.items() if each.any())
        return Clear(detectable=f"one token in one round; rounds checked: {checked}")


def _excuse(evidence: Evidence, role: Model, known: Bools, wrong: Bools) -> str | None:
    """Say why other lengths of a user's own loop prove nothing; None where they do.

    Such a loop may count otherwise by design, or feed its draft once more. Its answers decide: a
    length that is a fault leads the next round astray, and a right length does not.
    known, wrong: [rounds].
    """
    if evidence.settings.backend != limits.RECORDED_BACKEND:
        return None
    lengths = f"the recorded lengths of the {role}'s cache are not those specprof counts"
    try:
        drift = evidence.ask(attribution.drift)
    except MissingEvidence:
        return f"{lengths}, and no answer was recomputed to show whether one is wrong"
    side = drift.target if role == "target" else drift.draft
    if not len(side.gap):
        return f"{lengths}, and no answer of the {role} was recomputed to show whether one is wrong"
    if side.p_value > evidence.alpha or not side.astray.any():
        return f"{lengths}, but its {len(side.gap):,} recomputed answers are right"
    behind, others = (_astray_share(evidence, side, where) for where in (wrong, known & ~wrong))
    if behind is None or behind >= max(MIN_ASTRAY_BEHIND, MIN_TIMES_OFTENER * (others or 0.0)):
        return None
    shares = f"{behind:.0%} of rounds behind such a length are astray"
    rest = "" if others is None else f", and {others:.0%} of the others"
    return f"{lengths}, but its wrong answers do not follow from them: {shares}{rest}"


def _astray_share(evidence: Evidence, side: attribution.Side, where: Bools) -> float | None:
    """Return the share of astray rounds among those right after rounds `where`, [rounds].

    None where no such round was recomputed.
    """
    rounds, of = np.unique(side.round, return_inverse=True)
    astray = np.bincount(of, weights=side.astray) > 0
    before = onset.rows_before(evidence)[evidence.row(rounds)]
    asked = (before >= 0) & where[before]
    return float(astray[asked].mean()) if asked.any() else None


def _due_lengths(evidence: Evidence) -> dict[Model, Floats]:
    """Return the length due of each cache after every round, [rounds]; nan: not known."""
    rounds = evidence.rounds
    committed = rounds.context + rounds.emitted
    fed = np.minimum(rounds.context + rounds.drafted, committed) - 1
    anew = limits.feeds_anew(evidence.settings)
    known = (rounds.drafted > 0) & (anew is not None)
    draft = np.where(known, rounds.context if anew else fed, np.nan)
    return {"target": (committed - 1).astype(np.float64), "draft": draft}


def _finding(fault: Shortfall, wrong: Bools) -> Finding:
    rounds, short = fault.evidence.rounds, fault.short
    first = int(wrong.argmax())
    outcome = outcomes.code_outcomes(rounds, fault.evidence.rejected)[first]
    return Finding(
        message=_message(fault.role, fault.steady, fault.growing, float(short[first])),
        measures=(
            Measure(name="tokens short, first time", value=float(short[first]), unit="tokens"),
            Measure(
                name="tokens short, at worst",
                value=float(short[np.nanargmax(np.abs(short))]),
                unit="tokens",
            ),
            Measure(name="wrong per round", value=float(wrong.mean()), n=len(rounds)),
        ),
        remedy="roll the cache back to the committed tokens that it was fed, and feed the missing "
        "ones with the next round's first step: two tokens after an all-accepted round",
        confirm=("specprof run --context <the same> --stops 1",),
        rounds=first_rounds(rounds.index, wrong),
        where=Where(
            round=int(rounds.index[first]),
            context=int(rounds.context[first]),
            event=outcomes.EVENTS_BEFORE[int(outcome)],
            used=float(fault.due[first] - short[first]),
            clean=float(fault.due[first]),
        ),
        suspects=fault.suspects(wrong),
        headline=True,
        model=fault.role,
    )


def _message(
    role: str, steady: dict[str, float | None], growing: dict[str, float], first: float
) -> str:
    """Distinguish a constant shortfall from a shortfall that grows from round to round."""
    for outcome, tokens in steady.items():
        if tokens:
            return f"the {role} cache is {_say_tokens(tokens)} {outcome}"
    for outcome, tokens in growing.items():
        if tokens:
            return f"the {role} cache gets {_say_tokens(tokens)} {outcome}"
    return f"the {role} cache is {_say_tokens(first)} after some rounds"


def _say_tokens(short: float) -> str:
    size = abs(short)
    return f"{size:.0f} token{'' if size == 1 else 's'} {'short' if short > 0 else 'too long'}"
