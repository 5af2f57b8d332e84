"""One round alone with a probability that no sound engine leaves: a changed digit, or a bug.

Exact rules accuse an engine at the first impossible outcome. One number of one round is no evidence
for that, because a bug shows again. Knows columns. It repeats what those rules call impossible,
because it must be known before any rule judges.
"""

from collections.abc import Iterator

import numpy as np

from specprof.analysis.altered import MAX_ODD_SHARE, MIN_AGREEING_ROUNDS
from specprof.analysis.columns import Columns
from specprof.analysis.doubts import Contradiction, contradict_counts
from specprof.analysis.rounding import MAX_CLEAN_GAP, MAX_RATIO_ERROR, MAX_ROUNDING_ERROR
from specprof.analysis.stats import fair_coins
from specprof.analysis.tables import Bools, Ints, Places
from specprof.records import Header

MIN_TEMPERATURE = 0.1
"""Below it an error of the logits grows too much for two probabilities to be compared."""
MAX_RECHECK_ERROR = 0.01
"""Largest difference between two probabilities of one token by one law."""
MAX_CHANCE = 0.001
"""Of decisions as unfair as those of the other rounds: less shows a bug, and no changed digit."""
CLOSING = "a damaged file leaves that, and so does a bug"


def lone_round(columns: Columns) -> Iterator[Contradiction]:
    """Yield the contradictions of a round that alone is impossible, among more than four."""
    header, rounds = columns.header, columns.rounds
    if header is None or len(rounds) <= MIN_AGREEING_ROUNDS:
        return
    places = columns.places.where(~np.isnan(columns.places.overlap))
    yield from _wrong_owed(header, places)
    yield from _wrong_final_probs(columns, header)
    reasons = [each for each in _impossible_rounds(columns, header, places) if len(each[1])]
    if not reasons or len(odd := np.unique(np.concatenate([each for _, each in reasons]))) != 1:
        return
    if header.acceptance != "rejection" or _are_others_fair(places, odd):
        yield contradict_counts(f"round {odd[0]:,} alone {reasons[0][0]}: {CLOSING}", odd)


def _wrong_owed(header: Header, places: Places) -> Iterator[Contradiction]:
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
    if _are_few(odd, known):
        row = int(odd.argmax())
        text = (
            f"a draft of round {places.round[row]:,} is said to be owed {owed[row]:.4g}, and by "
            f"its two probabilities it is owed {due[row]:.4g}"
        )
        yield contradict_counts(text, np.unique(places.round[odd]))


def _wrong_final_probs(columns: Columns, header: Header) -> Iterator[Contradiction]:
    """Look for a last token's probability that its recheck denies, from the same raw law."""
    if header.acceptance == "greedy" or header.spec.settings.temperature < MIN_TEMPERATURE:
        return  # a law so sharp may turn over at a near tie
    rounds, scored, (whole, _) = columns.rounds, columns.rescored, _finals(columns)
    scored = scored.where(np.isin(scored.round, rounds.index[whole]))
    row = np.searchsorted(rounds.index, scored.round)
    known = (scored.slot == rounds.emitted[row] - 1) & (scored.target_gap < MAX_CLEAN_GAP)
    said = rounds.final_target_prob[row]
    odd = known & (np.abs(said - scored.target_prob) > MAX_RECHECK_ERROR)
    if _are_few(odd, known):
        at = int(odd.argmax())
        text = (
            f"the last token of round {scored.round[at]:,} has probability {said[at]:.4g}, and "
            f"{scored.target_prob[at]:.4g} by the same law rechecked"
        )
        yield contradict_counts(text, np.unique(scored.round[odd]))


def _are_few(odd: Bools, known: Bools) -> bool:
    few = odd.any() and odd.sum() <= max(1, MAX_ODD_SHARE * known.sum())
    return bool(few and (known & ~odd).sum() >= MIN_AGREEING_ROUNDS)


def _impossible_rounds(
    columns: Columns, header: Header, places: Places
) -> Iterator[tuple[str, Ints]]:
    """Yield each reason for which an exact rule would accuse an engine, and its rounds."""
    greedy, rejection = header.acceptance == "greedy", header.acceptance == "rejection"
    lossless = header.lossless is not False
    if greedy or rejection:
        rounds = _wrong_corrections(columns, places, greedy=greedy)
        yield "has a correction that can't be drawn there", rounds
    if greedy or lossless:
        rounds = _impossible_endings(columns, greedy=greedy)
        yield "ends with a token of target probability 0", rounds
    if lossless and header.acceptance != "block":
        rounds = np.unique(places.round[places.draft_prob == 0])
        yield "drafts a token of draft probability 0", rounds
    if lossless and not greedy:
        scored = columns.rescored
        sure = (scored.target_prob == 0) & (scored.target_gap < MAX_CLEAN_GAP)
        yield "commits a token of probability 0 in the recheck", np.unique(scored.round[sure])
    if rejection:
        yield "decides against a certain outcome", _impossible_decisions(places)


def _are_others_fair(places: Places, odd: Ints) -> bool:
    """Whether the decisions of all other rounds pass their test, so that the odd one is alone."""
    open_ = (places.accept_owed > 0) & (places.accept_owed < 1) & ~np.isin(places.round, odd)
    trial = fair_coins(places.accept_owed[open_], places.accepted[open_].astype(float))
    return trial.p_value > MAX_CHANCE


def _finals(columns: Columns) -> tuple[Bools, Bools]:
    """Return which rounds end with a token of known probability, and which had a rejection."""
    rounds = columns.rounds
    whole = (rounds.emitted == rounds.accepted + 1) & (rounds.drafted > 0)
    whole &= ~np.isnan(rounds.final_target_prob)
    return whole, rounds.accepted < rounds.reached_levels


def _wrong_corrections(columns: Columns, places: Places, *, greedy: bool) -> Ints:
    """Return the rounds whose correction has no mass in the residual, or was just rejected."""
    rounds, (whole, corrected) = columns.rounds, _finals(columns)
    held = ~places.accepted & (places.accept_owed >= 1 - MAX_RATIO_ERROR)
    due = whole & corrected & ~np.isin(rounds.index, places.round[held])
    outside = rounds.final_target_prob < rounds.final_draft_prob * (1 - MAX_RATIO_ERROR)
    wrong = _repeats_rejected(columns) | (outside if not greedy else np.zeros_like(outside))
    return np.asarray(rounds.index[due & wrong])


def _repeats_rejected(columns: Columns) -> Bools:
    """Return which rounds end with a draft that their last level rejected, [rounds]."""
    rounds, places = columns.rounds, columns.places
    row = np.searchsorted(rounds.index, places.round)
    deepest = np.full(len(rounds), -1, np.int64)
    np.maximum.at(deepest, row, places.index)
    tokens = np.append(columns.emitted.token, -1)
    last = tokens[(rounds.emitted.cumsum() - 1).clip(min=0)[row]]
    same = ~places.accepted & (places.index == deepest[row]) & (places.token == last)
    return np.asarray(np.bincount(row[same], minlength=len(rounds)) > 0)


def _impossible_endings(columns: Columns, *, greedy: bool) -> Ints:
    """Return the rounds whose last token, if drawn a bonus, has target probability 0."""
    whole, corrected = _finals(columns)
    wrong = whole & (columns.rounds.final_target_prob == 0) & (greedy | ~corrected)
    return np.asarray(columns.rounds.index[wrong])


def _impossible_decisions(places: Places) -> Ints:
    """Return the rounds that accept an impossible draft, or reject one that must be accepted."""
    owed, sure = (
        places.accept_owed,
        places.target_prob >= places.draft_prob * (1 + MAX_ROUNDING_ERROR),
    )
    stood = places.accepted & (owed == 0) & (places.target_prob == 0)
    fell = ~places.accepted & (owed == 1) & sure
    return np.unique(places.round[stood | fell])
