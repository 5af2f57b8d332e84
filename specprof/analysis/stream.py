"""The stream of committed ids: where each stands, and which of them end a text.

Knows ids and places; no probabilities. Says what is there, not whether it should be.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Ints


@dataclass(frozen=True, slots=True)
class Committed:
    """Every committed token, in the order the rounds were recorded; arrays of one length."""

    token: Ints
    round: Ints
    slot: Ints
    """Which of its round's tokens it is, from 0."""
    context: Ints
    """Committed tokens before it."""
    last: Bools
    """Whether its burst ends with it."""
    mid_round: Bools
    """Whether its round committed more behind it."""


def committed(evidence: Evidence) -> Committed:
    """Return the committed tokens with their places."""
    rounds, tokens = evidence.rounds, evidence.columns.emitted
    row = evidence.row(tokens.round)
    starts = np.concatenate([[0], rounds.emitted.cumsum()[:-1]])
    slot = np.arange(len(tokens)) - starts[row]
    final = slot == rounds.emitted[row] - 1
    return Committed(
        token=tokens.token,
        round=tokens.round,
        slot=slot,
        context=rounds.context[row] + slot,
        last=final & evidence.closes_burst[row],
        mid_round=~final,
    )


def stop_ids(evidence: Evidence) -> frozenset[int]:
    """Return the ids that ended a burst of this capture by being a stop token.

    Of bursts that were recorded whole: the last token of another may not be the one that ended it.
    """
    tokens, rounds = evidence.ask(committed), evidence.rounds
    played = dict(zip(*np.unique(rounds.burst, return_counts=True), strict=True))
    ended = [
        one.burst
        for one in evidence.columns.bursts
        if one.finish == "eos" and one.rounds == played.get(one.burst)
    ]
    burst = rounds.burst[evidence.row(tokens.round)]
    return frozenset(tokens.token[tokens.last & np.isin(burst, ended)].tolist())


def ending_run(marked: Bools) -> int:
    """Return how many at the end of [n] are marked without a gap."""
    return int(marked[::-1].cumprod().sum())
