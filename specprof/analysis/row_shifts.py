"""Rounds that are decided by other rows of the verify pass than their own.

Row i of a verify pass judges draft i: it is the target's answer before that draft. The correction
comes from the row of the first rejected draft, the bonus from the last row. Where a round's outcome
does not follow from these rows, the recording has the target's first choice by each row. So it can
be asked which rows it does follow from: those one later, one earlier, the first, the last.

Where the rows themselves were recorded as they were sliced, the outcome follows from them. Then the
recheck finds that they are the target's rows of another place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Ints, Rounds

MIN_ROUNDS = 4
"""Rounds that don't follow from their own rows."""
MIN_WRONG = 8
"""Tokens and rejections that don't follow from their own rows."""
MIN_DISPLACED = 3
"""Rows that are a neighbour's. Two laws over a vocabulary don't agree by chance."""
MIN_EXPLAINED = 0.95
"""Of all that these rounds decided, and of what their own rows don't explain."""
Pick = Callable[[Ints, Ints], Ints]
"""From rows, [n], and the last row of each round, [n], to the rows that judge in their place; -1:
there is none."""


def _next(row: Ints, last: Ints) -> Ints:
    return np.where(row < last, row + 1, -1)


def _previous(row: Ints, last: Ints) -> Ints:
    del last
    return np.where(row > 0, row - 1, -1)


def _wrapped(row: Ints, last: Ints) -> Ints:
    return np.where(row > 0, row - 1, last)


def _own(row: Ints, last: Ints) -> Ints:
    del last
    return row


def _first(row: Ints, last: Ints) -> Ints:
    del last
    return np.zeros_like(row)


def _last(row: Ints, last: Ints) -> Ints:
    del row
    return last


@dataclass(frozen=True, slots=True)
class Shift:
    """Which rows judge drafts, and which give corrections and bonuses."""

    message: str
    """What is wrong, in words."""
    token: str
    """Which tokens are another row's, in words."""
    row: str
    """Whose they are, in words."""
    drafts: Pick
    corrections: Pick
    bonuses: Pick


EMITTED, EARLIER = "emitted token", "the row before its own"
ROWS_SHIFTED: Final = (
    Shift("verify rows are sliced one too late", EMITTED, "the next row", _next, _next, _next),
    Shift("verify rows are sliced one too early", EMITTED, EARLIER, _wrapped, _wrapped, _wrapped),
    Shift(
        "verify rows are sliced one too early", EMITTED, EARLIER, _previous, _previous, _previous
    ),
    Shift("all drafts are judged by one row", EMITTED, "the last row", _last, _last, _last),
    Shift("all drafts are judged by one row", EMITTED, "the first row", _first, _first, _first),
)
FINALS_SHIFTED: Final = (
    Shift(
        "the correction is taken from the row after the rejected draft",
        "wrong correction",
        "the next row",
        _own,
        _next,
        _own,
    ),
    Shift(
        "the correction is taken one row too early",
        "wrong correction",
        EARLIER,
        _own,
        _previous,
        _own,
    ),
    Shift("the bonus is taken one row too early", "wrong bonus", EARLIER, _own, _own, _previous),
    Shift(
        "the correction and the bonus are taken one row too early",
        "wrong correction and bonus",
        EARLIER,
        _own,
        _previous,
        _previous,
    ),
    Shift(
        "the correction is taken from the end of the verify pass",
        "wrong correction",
        "the last row",
        _own,
        _last,
        _own,
    ),
    Shift(
        "the correction and the bonus are taken from the start of the verify pass",
        "wrong correction and bonus",
        "the first row",
        _own,
        _first,
        _first,
    ),
)
OWN: Final = Shift("", "", "its own row", _own, _own, _own)


@dataclass(frozen=True, slots=True)
class Shifted:
    """A shift that explains the outcomes which don't follow from their own rows."""

    shift: Shift
    tokens: int
    """Emitted tokens of these rounds that have another row by this shift than their own."""
    explained: int
    """How many of them are the first choice of that row."""
    own: int
    """How many of them are the first choice of their own row."""
    rounds: Ints
    """Indices of the rounds that don't follow from their own rows."""
    all_rounds: int
    """How many rounds drafted something."""

    @property
    def of_drafts(self) -> bool:
        """Whether drafts too are judged by other rows than their own."""
        return self.shift in ROWS_SHIFTED


@dataclass(frozen=True, slots=True)
class _Decided:
    """Drafts that were judged and tokens that followed them; arrays of one length."""

    kind: Ints
    """0 a draft, 1 a correction, 2 a bonus."""
    row: Ints
    """The row of the verify pass that should judge it or give it."""
    last: Ints
    """The last row of its verify pass."""
    token: Ints
    came: Bools
    """Whether the token was emitted; False: the draft was rejected."""
    start: Ints
    """Where the choices of its verify pass begin."""
    choices: Ints
    """Of all verify passes, end to end."""

    def follow(self, shift: Shift) -> tuple[Ints, Bools]:
        """Return the row that each has by this shift, and whether that explains it; -1: none."""
        picks = (shift.drafts, shift.corrections, shift.bonuses)
        each = np.stack([pick(self.row, self.last) for pick in picks])
        row = each[self.kind, np.arange(len(self.row))]
        best = self.choices[self.start + row.clip(min=0)]
        return row, (row >= 0) & ((best == self.token) == self.came)


@dataclass(frozen=True, slots=True)
class Displaced:
    """Rows that the run used, and that are another place's."""

    offset: int
    """-1: of one token earlier; 1: of one token later."""
    compared: int
    """Rows that differ from their own place's, and have a neighbour to compare with."""
    equal: int
    """How many of these equal the neighbour's."""


def displaced_rows(evidence: Evidence) -> Displaced | None:
    """Return where nearly all rows that are wrong come from; None where they come from nowhere."""
    for offset in (-1, 1):
        some = [
            each
            for _, each in evidence.columns.shifted
            if each.offset == offset and each.equal <= each.compared
        ]
        compared, equal = (
            sum(getattr(one, name) for one in some) for name in ("compared", "equal")
        )
        if equal >= max(MIN_DISPLACED, MIN_EXPLAINED * compared):
            return Displaced(offset, compared, equal)
    return None


def row_shift(evidence: Evidence) -> Shifted | None:
    """Return the shift that explains the outcomes which don't follow from their own rows.

    None where there are too few of them, or none explains them. At least 95% must follow from the
    shifted rows, of all that these rounds decided and of what their own rows don't explain.
    """
    if not evidence.greedy or not len(evidence.columns.row_choices):
        return None
    rounds = _find_rounds(evidence)
    if len(rounds) < MIN_ROUNDS:
        return None
    decided = _list_decided(evidence, rounds)
    _, sound = decided.follow(OWN)
    for shift in (*ROWS_SHIFTED, *FINALS_SHIFTED):
        row, fits = decided.follow(shift)
        known, wrong = row >= 0, ~sound
        explains = fits.sum() >= MIN_EXPLAINED * known.sum()
        explains &= (fits & wrong).sum() >= MIN_EXPLAINED * wrong.sum()
        if explains and (known & wrong).sum() >= MIN_WRONG:
            came = decided.came & known & (row != decided.row)
            return Shifted(
                shift,
                tokens=int(came.sum()),
                explained=int((fits & came).sum()),
                own=int((sound & came).sum()),
                rounds=rounds.index,
                all_rounds=len(evidence.speculative),
            )
    return None


def _find_rounds(evidence: Evidence) -> Rounds:
    """Return the chains that recorded a choice for each of their rows."""
    rounds, choices = evidence.rounds, evidence.columns.row_choices
    counts = np.bincount(evidence.row(choices.round), minlength=len(rounds))
    whole = (counts == rounds.drafted + 1) & (rounds.drafted == rounds.levels)
    return rounds.where(whole & (rounds.drafted > 0))


def _list_decided(evidence: Evidence, rounds: Rounds) -> _Decided:
    """List what these rounds decided: reached drafts, corrections and bonuses."""
    of_choices, choices = evidence.columns.row_choices.round, evidence.columns.row_choices.token
    places = evidence.reached
    at = np.searchsorted(rounds.index, places.round).clip(max=len(rounds) - 1)
    places = places.where(rounds.index[at] == places.round)
    at = np.searchsorted(rounds.index, places.round)
    with_final = np.flatnonzero(rounds.emitted == rounds.accepted + 1)
    finals = rounds.take(with_final)
    ends = evidence.rounds.emitted.cumsum() - 1
    tokens = evidence.columns.emitted.token[ends[evidence.row(finals.index)]]
    starts = np.searchsorted(of_choices, rounds.index)
    bonus = finals.accepted == finals.drafted
    return _Decided(
        kind=np.concatenate([np.zeros(len(places), np.int64), np.where(bonus, 2, 1)]),
        row=np.concatenate([places.index, finals.accepted]),
        last=np.concatenate([rounds.drafted[at], finals.drafted]),
        token=np.concatenate([places.token, tokens]),
        came=np.concatenate([places.accepted, np.ones(len(finals), np.bool_)]),
        start=np.concatenate([starts[at], starts[with_final]]),
        choices=choices,
    )
