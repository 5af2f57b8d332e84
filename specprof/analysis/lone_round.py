"""One round alone with a probability that no sound engine leaves: a changed digit, or a bug.

The rules that are exact accuse an engine at the first impossible outcome. What rests on one number
of one round is no evidence for that: a bug shows again. Knows columns. What these rules call
impossible is said here a second time, for nothing may be judged before this is known.
"""

from collections.abc import Iterator

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, contradict_counts
from specprof.analysis.rounding import MAX_CLEAN_GAP, MAX_RATIO_ERROR, MAX_ROUNDING_ERROR
from specprof.analysis.tables import Bools, Ints, Places
from specprof.records import Header

FEWEST = 4
"""Rounds that have to be sound before another one is odd."""
LONE = 0.01
"""Of the places; what more of them say is no accident of a few digits."""
COOL = 0.1
"""Temperature below which an error of the logits grows too much."""
APART = 0.01
"""Two probabilities of one token by one law, at most."""
CLOSING = "a damaged file leaves that, and so does a bug"


def lone_round(columns: Columns) -> Iterator[Contradiction]:
    """Yield what is impossible in one round of more than four, and in no other."""
    header, rounds = columns.header, columns.rounds
    if header is None or len(rounds) <= FEWEST:
        return
    places = columns.places.where(~np.isnan(columns.places.overlap))
    yield from _misowed(header, places)
    yield from _misfinal(columns, header)
    reasons = [each for each in _impossible(columns, header, places) if len(each[1])]
    if reasons and len(odd := np.unique(np.concatenate([each for _, each in reasons]))) == 1:
        yield contradict_counts(f"round {odd[0]:,} alone {reasons[0][0]}: {CLOSING}", odd)


def _misowed(header: Header, places: Places) -> Iterator[Contradiction]:
    """Look for an acceptance owed that doesn't follow from the two probabilities beside it."""
    target, draft, owed = places.target_prob, places.draft_prob, places.accept_owed
    if header.acceptance == "rejection":
        known = draft > 0
        due = np.minimum(target / np.where(known, draft, 1.0), 1.0)
    elif header.acceptance == "greedy":
        known, due = np.isin(target, (0.0, 1.0)), target
    else:
        return
    odd = known & (np.abs(due - owed) > MAX_RATIO_ERROR * np.maximum(due, owed))
    if _few(odd, known):
        row = int(odd.argmax())
        reasons = (
            f"a draft of round {places.round[row]:,} is said to be owed {owed[row]:.4g}, and by "
            f"its two probabilities it is owed {due[row]:.4g}"
        )
        yield contradict_counts(reasons, np.unique(places.round[odd]))


def _misfinal(columns: Columns, header: Header) -> Iterator[Contradiction]:
    """Look for a last token's probability that its recheck denies, from the same raw law."""
    if header.acceptance == "greedy" or header.spec.settings.temperature < COOL:
        return  # a law so sharp may turn over at a near tie
    rounds, scored, (whole, _) = columns.rounds, columns.rescored, _finals(columns)
    scored = scored.where(np.isin(scored.round, rounds.index[whole]))
    row = np.searchsorted(rounds.index, scored.round)
    known = (scored.slot == rounds.emitted[row] - 1) & (scored.target_gap < MAX_CLEAN_GAP)
    said = rounds.final_target_prob[row]
    odd = known & (np.abs(said - scored.target_prob) > APART)
    if _few(odd, known):
        at = int(odd.argmax())
        reasons = (
            f"the last token of round {scored.round[at]:,} has probability {said[at]:.4g}, and "
            f"{scored.target_prob[at]:.4g} by the same law rechecked"
        )
        yield contradict_counts(reasons, np.unique(scored.round[odd]))


def _few(odd: Bools, known: Bools) -> bool:
    few = odd.any() and odd.sum() <= max(1, LONE * known.sum())
    return bool(few and (known & ~odd).sum() >= FEWEST)


def _impossible(columns: Columns, header: Header, places: Places) -> Iterator[tuple[str, Ints]]:
    """Yield what an exact rule would accuse an engine of, in words, and the rounds that show it."""
    greedy, rejection = header.acceptance == "greedy", header.acceptance == "rejection"
    lossless = header.lossless is not False
    if greedy or rejection:
        yield "has a correction that is not due there", _undue(columns, places, greedy=greedy)
    if greedy or lossless:
        yield "ends with a token the target gives no chance", _chanceless(columns, greedy=greedy)
    if lossless and header.acceptance != "block":
        reasons = "drafts a token that its own law gives no chance"
        yield reasons, np.unique(places.round[places.draft_prob == 0])
    if lossless and not greedy:
        scored = columns.rescored
        sure = (scored.target_prob == 0) & (scored.target_gap < MAX_CLEAN_GAP)
        yield "commits a token that the recheck gives no chance", np.unique(scored.round[sure])
    if rejection:
        yield "decides on a draft against what is certain", _against(places)


def _finals(columns: Columns) -> tuple[Bools, Bools]:
    """Return which rounds end with a token of known probability, and after a rejection."""
    rounds = columns.rounds
    whole = (rounds.emitted == rounds.accepted + 1) & (rounds.drafted > 0)
    whole &= ~np.isnan(rounds.final_target_prob)
    return whole, rounds.accepted < rounds.reached_levels


def _undue(columns: Columns, places: Places, *, greedy: bool) -> Ints:
    """Return the rounds whose correction has no mass in the residual, or was just rejected."""
    rounds, (whole, corrected) = columns.rounds, _finals(columns)
    held = ~places.accepted & (places.accept_owed >= 1 - MAX_RATIO_ERROR)
    due = whole & corrected & ~np.isin(rounds.index, places.round[held])
    outside = rounds.final_target_prob < rounds.final_draft_prob * (1 - MAX_RATIO_ERROR)
    wrong = _again(columns) | (outside if not greedy else np.zeros_like(outside))
    return np.asarray(rounds.index[due & wrong])


def _again(columns: Columns) -> Bools:
    """Return which rounds end with a draft that their last level rejected, [rounds]."""
    rounds, places = columns.rounds, columns.places
    row = np.searchsorted(rounds.index, places.round)
    deepest = np.full(len(rounds), -1, np.int64)
    np.maximum.at(deepest, row, places.index)
    tokens = np.append(columns.emitted.token, -1)
    last = tokens[(rounds.emitted.cumsum() - 1).clip(min=0)[row]]
    same = ~places.accepted & (places.index == deepest[row]) & (places.token == last)
    return np.asarray(np.bincount(row[same], minlength=len(rounds)) > 0)


def _chanceless(columns: Columns, *, greedy: bool) -> Ints:
    """Return the rounds whose last token, if drawn a bonus, has target probability 0."""
    whole, corrected = _finals(columns)
    wrong = whole & (columns.rounds.final_target_prob == 0) & (greedy | ~corrected)
    return np.asarray(columns.rounds.index[wrong])


def _against(places: Places) -> Ints:
    """Return the rounds that let a draft stand that can't, or reject one that has to stand."""
    owed, sure = (
        places.accept_owed,
        places.target_prob >= places.draft_prob * (1 + MAX_ROUNDING_ERROR),
    )
    stood = places.accepted & (owed == 0) & (places.target_prob == 0)
    fell = ~places.accepted & (owed == 1) & sure
    return np.unique(places.round[stood | fell])
