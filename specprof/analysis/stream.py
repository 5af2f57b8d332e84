"""The stream of committed token ids: where each id stands, and which ids end a text.

Knows ids and places; no probabilities. Says which ids are there, not whether they should be.
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
    """The token's place among its round's tokens, from 0."""
    context: Ints
    """Committed tokens before the token."""
    last: Bools
    """Whether the token ends its burst."""
    mid_round: Bools
    """Whether its round committed further tokens after it."""


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
    """Return the ids that ended a burst of this capture as a stop token.

    Uses only bursts that were recorded whole: else the last known token may not have ended it.
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
    """Return the length of the marked run at the end of [n]."""
    return int(marked[::-1].cumprod().sum())
