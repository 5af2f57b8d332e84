"""At temperature 0 a committed token is not the target's first choice.

Measures
    Corrections and bonuses that are not the first choice of the row they were taken from; committed
    tokens whose recomputed logit falls short of the largest by more than this run's rounding can
    move logits. Both are counted by kind of slot: drafts, corrections, bonuses. Where rounds don't
    follow from the rows that should have decided them: which rows they do follow from.

Fires when
    At least four rounds, and eight of their tokens and rejections, don't follow from their own
    rows, and 95% do from the next rows, the rows before, the first or the last. Or there are two
    corrections or bonuses of the first kind, or one in four rounds or fewer; or one token in two
    hundred, two at least, of the second, at rows whose state is clean.

Why this is a bug and not a mismatch
    Greedy decoding has one right token at each place, whatever was drafted. Near ties, which
    rounding may flip, are left out (near-ties-flipped counts them).

Likely causes
    The verify rows are sliced one too late or too early: the finding says so. At draft slots:
    drafts not checked. At bonus slots: the draft's token, or a token of another row. At
    corrections: the row before or after the rejected draft's.

Confirm
    Make a plain greedy run of the same text (--drafter none): apart from near ties, the text must
    be equal.

Does not see
    A token that a wrong state made the first choice: target-state-drifts sees that.

Try it
    specprof drill verify/rows-swapped-topk-args
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from specprof.analysis import emitted_law, first_choices
from specprof.analysis.emitted_law import Finals
from specprof.analysis.evidence import Evidence
from specprof.analysis.first_choices import Choices
from specprof.analysis.row_shifts import Shifted, row_shift
from specprof.analysis.tables import Bools, first_rounds
from specprof.diagnosis.rules import _finals
from specprof.diagnosis.rules._causes import NO_NUMBERS
from specprof.diagnosis.rules._divergence import measure_divergence
from specprof.errors import MissingEvidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Where

SLOT_KINDS = ("accepted drafts", "corrections", "bonuses")
CASES = ("accept/always-accept", "accept/residual-not-subtracted", "accept/bonus-from-draft")
REMEDY = (
    "take row i of the verify pass for draft i, the row of the first rejection for the "
    "correction, and the last row for the bonus"
)
CONFIRM = ("specprof run --drafter none --temperature 0",)
MAX_ODD_TOKENS = 0.005
"""Of the rechecked tokens."""


class OutputNotGreedy(Rule):
    """Exact for the rows that the run used; the rechecked text is compared within noise."""

    family: ClassVar[Family] = "bug"
    stage: ClassVar[Stage] = Stage.EMISSION
    statistical: ClassVar[bool] = False
    explained_by: ClassVar[frozenset[str]] = NO_NUMBERS | {"accept-rule-unfair"}

    def judge(self, evidence: Evidence) -> Outcome:
        """Compare every committed token with a first choice."""
        if not evidence.greedy:
            title = "tokens are drawn, not chosen"
            raise MissingEvidence(title, "record a run at temperature 0")
        finding = _find(evidence)
        if isinstance(finding, Clear):
            return finding
        measures = (*finding.measures, *measure_divergence(evidence))
        return Found(finding=replace(finding, measures=measures))


def _find(evidence: Evidence) -> Finding | Clear:
    """Return what is wrong with the tokens, or that nothing is."""
    if shifted := evidence.ask(row_shift):
        return _of_shift(evidence, shifted)
    finals = evidence.ask(emitted_law.finals)
    missed = _mark_missed(finals)
    clean = _clean_choices(evidence)
    if clean is None:
        if not missed.any():
            unseen = "drafts were not rechecked"
            return Clear(detectable=f"one wrong final token of {len(missed):,}; {unseen}")
        return _of_finals(evidence, finals)
    n, wrong = len(clean.round), int(clean.wrong.sum())
    few = wrong < 2 or wrong < MAX_ODD_TOKENS * n  # noqa: PLR2004 - a single one may be odd
    if not missed.any() and few:
        return Clear(
            detectable=f"a token {clean.noise:.2g} logits short of the first choice in "
            f"{MAX_ODD_TOKENS:.1%} of {n:,}"
        )
    return _of_text(clean) if wrong else _of_finals(evidence, finals)


def _mark_missed(found: Finals) -> Bools:
    return np.asarray(found.target_prob == 0)


def _clean_choices(evidence: Evidence) -> Choices | None:
    try:
        return evidence.ask(first_choices.choices)
    except MissingEvidence:
        return None


def _of_shift(evidence: Evidence, found: Shifted) -> Finding:
    shift, rounds, n = found.shift, len(found.rounds), found.tokens
    each = "every" if found.explained == n else "nearly every"
    first = evidence.rounds.take(evidence.row(found.rounds[:1]))
    return Finding(
        message=f"{shift.message}: in {rounds:,} of {found.all_rounds:,} rounds {each} "
        f"{shift.token} is the first choice of {shift.row} ({found.explained:,} of {n:,}; "
        f"{found.own:,} of their own row)",
        measures=(
            Measure(
                name=f"first choice of {shift.row} per {shift.token}",
                value=found.explained / n,
                n=n,
            ),
            Measure(
                name=f"first choice of its own row per {shift.token}", value=found.own / n, n=n
            ),
            Measure(
                name="rounds that don't follow from their own rows per round",
                value=rounds / found.all_rounds,
                n=found.all_rounds,
            ),
        ),
        remedy=REMEDY,
        confirm=CONFIRM,
        rounds=first_rounds(found.rounds),
        where=Where(round=int(first.index[0]), context=int(first.context[0])),
        suspects=("verify/rows-off-by-one",)
        if found.of_drafts
        else ("accept/final-from-wrong-row",),
        headline=True,
    )


def _of_finals(evidence: Evidence, found: Finals) -> Finding:
    missed = _mark_missed(found)
    kind = 1 if found.correction[missed].mean() > 0.5 else 2  # noqa: PLR2004 - most of them
    return _finding(
        kind,
        int(missed.sum()),
        len(missed),
        rounds=first_rounds(found.round, missed),
        where=_finals.find_first(evidence, _mark_missed),
    )


def _of_text(found: Choices) -> Finding:
    wrong = found.wrong
    kind = int(np.bincount(found.kind[wrong], minlength=3).argmax())
    row = int(wrong.argmax())
    return _finding(
        kind,
        int(wrong.sum()),
        len(wrong),
        rounds=first_rounds(found.round, wrong),
        where=Where(
            round=int(found.round[row]),
            context=int(found.context[row]),
            index=int(found.slot[row]) if found.kind[row] == 0 else None,
            used=float(found.shortfall[row]),
            clean=0.0,
        ),
    )


def _finding(
    kind: int, wrong: int, n: int, *, rounds: tuple[int, ...], where: Where | None
) -> Finding:
    return Finding(
        message=f"the text is not the target's greedy text: {wrong:,} tokens are not its first "
        f"choice, mostly {SLOT_KINDS[kind]}",
        measures=(Measure(name="not the first choice per token", value=wrong / n, n=n),),
        remedy=REMEDY,
        confirm=CONFIRM,
        rounds=rounds,
        where=where,
        suspects=(CASES[kind],),
        headline=True,
    )
