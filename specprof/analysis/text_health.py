"""Whether the emitted text is text: a loop is accepted by any draft and proves nothing.

Knows token ids only. Reference: theory 9.1; self-reinforcing repetition, arXiv 2206.02369.
"""

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Bools, Ints

LONGEST_PERIOD = 256
SHORTEST_RUN = 48


def looping(tokens: Ints) -> Bools:
    """Return which tokens lie in a loop, [tokens]; separators (negative ids) never do.

    A loop of period p <= 256 is a run of at least max(3 p, 48) tokens that each equal the one p
    places before; the whole run is marked, from its first repeated token.
    """
    edges = np.zeros(len(tokens) + 1, np.int64)  # +1 where a run begins, -1 behind its end
    for period in range(1, min(LONGEST_PERIOD, len(tokens) // 4) + 1):
        same = (tokens[period:] == tokens[:-period]) & (tokens[period:] >= 0)
        run = max(3 * period, SHORTEST_RUN)
        if int(same.sum()) < run:
            continue
        total = np.concatenate([[0], np.cumsum(same)])
        begins = period + np.flatnonzero(total[run:] - total[:-run] == run)
        edges[begins] += 1
        edges[begins + run] -= 1
    return np.asarray(edges.cumsum()[:-1] > 0)


def looping_frac(columns: Columns) -> tuple[float, int]:
    """Return the share of emitted tokens that lie in a loop of their burst, and how many there are.

    Bursts are kept apart: each ends in a separator of its own.
    """
    tokens, rounds = columns.emitted.token, columns.rounds
    if not len(tokens):
        return 0.0, 0
    burst = np.repeat(rounds.burst, rounds.emitted)
    together = np.argsort(burst, kind="stable")  # the sequences of a batch take turns
    tokens, burst = tokens[together], burst[together]
    starts = np.flatnonzero(np.concatenate([[False], burst[1:] != burst[:-1]]))
    apart = np.insert(tokens, starts, -1 - np.arange(len(starts)))
    return float(looping(apart).sum() / len(tokens)), len(tokens)
