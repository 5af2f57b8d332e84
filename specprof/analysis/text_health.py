"""Whether the emitted text loops: any draft guesses a loop, so its acceptance proves nothing.

Knows token ids only. Reference: theory 9.1; self-reinforcing repetition, arXiv 2206.02369.
"""

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Bools, Ints

LONGEST_PERIOD = 256
SHORTEST_RUN = 48
_GROUP_SIZE = 8
"""Booleans that are compared together as one word: every run holds several such groups."""
_ALL_TRUE = np.ones(_GROUP_SIZE, np.bool_).view(np.uint64)[0]
_NO_RUNS: Ints = np.empty(0, np.int64)


def mark_loops(tokens: Ints) -> Bools:
    """Return which tokens lie in a loop, [tokens]; separators (negative ids) never do.

    A loop of period p <= 256 is a run of at least max(3 p, 48) tokens that each equal the token p
    places before. The whole run is marked, from its first repeated token.
    """
    n = len(tokens)
    edges = np.zeros(n + 1, np.int64)  # +1 where a run begins, -1 behind its end
    apart = np.where(tokens < 0, -1 - np.arange(n), tokens)  # no separator equals another
    if max(n, int(apart.max(initial=0))) <= np.iinfo(np.int32).max:
        apart = apart.astype(np.int32)  # half the bytes to compare, for every period
    for period in range(1, min(LONGEST_PERIOD, n // 4) + 1):
        starts, ends = _find_runs(apart[period:] == apart[:-period], max(3 * period, SHORTEST_RUN))
        np.add.at(edges, period + starts, 1)
        np.add.at(edges, period + ends, -1)
    return np.asarray(edges.cumsum()[:-1] > 0)


def _find_runs(same: Bools, least: int) -> tuple[Ints, Ints]:
    """Return where runs of at least `least` truths begin, and where they end (exclusive)."""
    words = same[: len(same) // _GROUP_SIZE * _GROUP_SIZE].view(np.uint64)
    if np.count_nonzero(words == _ALL_TRUE) < least // _GROUP_SIZE - 1:
        return _NO_RUNS, _NO_RUNS  # nearly always, and six times as fast as the code below
    turns = np.flatnonzero(np.diff(same, prepend=False, append=False))
    starts, ends = turns[::2], turns[1::2]
    long = ends - starts >= least
    return starts[long], ends[long]


def looping_frac(columns: Columns) -> tuple[float, int]:
    """Return the share of emitted tokens that lie in a loop, and how many emitted tokens there are.

    A loop lies in one burst: separators stand between bursts.
    """
    tokens, rounds = columns.emitted.token, columns.rounds
    if not len(tokens):
        return 0.0, 0
    burst = np.repeat(rounds.burst, rounds.emitted)
    together = np.argsort(burst, kind="stable")  # the sequences of a batch take turns
    tokens, burst = tokens[together], burst[together]
    starts = np.flatnonzero(np.concatenate([[False], burst[1:] != burst[:-1]]))
    apart = np.insert(tokens, starts, -1 - np.arange(len(starts)))
    return float(mark_loops(apart).sum() / len(tokens)), len(tokens)
