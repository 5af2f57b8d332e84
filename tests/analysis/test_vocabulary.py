"""Pairs of ids are counted at once as they are one by one."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from specprof.analysis import emitted_law, vocabulary
from specprof.analysis.tables import Places

IDS = st.integers(0, 3)
ROUNDS = st.lists(st.tuples(IDS, IDS, st.booleans()), max_size=60)


def evidence(rounds):
    """Return evidence of rounds of one draft, (drafted, committed instead, whether it stood)."""
    n, places = len(rounds), Places()
    columns = {name: np.zeros(n) for name in Places.__annotations__}
    columns |= {
        "round": np.arange(n),
        "token": np.array([drafted for drafted, _, _ in rounds]),
        "accepted": np.array([stood for _, _, stood in rounds], np.bool_),
    }
    places.extend(list(columns.values()))
    counts = SimpleNamespace(emitted=np.ones(n, np.int64), accepted=np.zeros(n, np.int64))
    return SimpleNamespace(reached=places, rounds=counts, row=lambda rows: rows, greedy=False)


def by_hand(rounds):
    fallen = [(drafted, came) for drafted, came, stood in rounds if not stood]
    stood = [drafted for drafted, _, stood in rounds if stood]
    pairs = held = 0
    for token in sorted({drafted for drafted, _ in fallen}):
        instead = [came for drafted, came in fallen if drafted == token]
        few = len(instead) < vocabulary.MIN_REJECTIONS
        if few or stood.count(token) > vocabulary.MAX_ACCEPTED_SHARE * len(instead):
            continue
        partner = max(sorted(set(instead)), key=instead.count)
        drafted = [each for each, came in fallen if came == partner]
        back = max(sorted(set(drafted)), key=drafted.count)
        times = instead.count(partner)
        if back == token and times >= max(vocabulary.MIN_PARTNER_SHARE * len(instead), 2):
            pairs, held = pairs + 1, held + times
    return pairs, held, len(fallen)


@given(ROUNDS)
def test_pairs_are_those_of_counting_by_hand(rounds):
    """Whatever was drafted, rejected, committed, in whichever ties."""
    made, last = evidence(rounds), emitted_law.last_tokens
    emitted_law.last_tokens = lambda _: np.array([came for _, came, _ in rounds], np.int64)
    try:
        found = vocabulary.count_exchanged_ids(made)
    finally:
        emitted_law.last_tokens = last
    assert (found.pairs, found.held, found.rejected) == by_hand(rounds)
