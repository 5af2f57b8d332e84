"""Whether the emitted text is text: a loop is accepted by any draft and proves nothing.

Knows token ids only. Reference: theory 9.1; self-reinforcing repetition, arXiv 2206.02369.
"""

import numpy as np

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Bools, Ints

LONGEST_PERIOD = 256
SHORTEST_RUN = 48
_WORD = 8
"""Truth values that are looked at together: a run holds several such groups."""
_ALL_TRUE = np.ones(_WORD, np.bool_).view(np.uint64)[0]
_NONE: Ints = np.empty(0, np.int64)


def looping(tokens: Ints) -> Bools:
    """Return which tokens lie in a loop, [tokens]; separators (negative ids) never do.

    A loop of period p <= 256 is a run of at least max(3 p, 48) tokens that each equal the one p
    places before; the whole run is marked, from its first repeated token.
    """
    n = len(tokens)
    edges = np.zeros(n + 1, np.int64)  # +1 where a run begins, -1 behind its end
    apart = np.where(tokens < 0, -1 - np.arange(n), tokens)  # no separator equals another
    if max(n, int(apart.max(initial=0))) <= np.iinfo(np.int32).max:
        apart = apart.astype(np.int32)  # half as much to look through, again and again
    for period in range(1, min(LONGEST_PERIOD, n // 4) + 1):
        starts, ends = _runs(apart[period:] == apart[:-period], max(3 * period, SHORTEST_RUN))
        np.add.at(edges, period + starts, 1)
        np.add.at(edges, period + ends, -1)
    return np.asarray(edges.cumsum()[:-1] > 0)


def _runs(same: Bools, least: int) -> tuple[Ints, Ints]:
    """Return where runs of at least so many truths begin, and where they end: behind their last."""
    words = same[: len(same) // _WORD * _WORD].view(np.uint64)
    if np.count_nonzero(words == _ALL_TRUE) < least // _WORD - 1:
        return _NONE, _NONE  # as nearly always, and six times as fast
    turns = np.flatnonzero(np.diff(same, prepend=False, append=False))
    starts, ends = turns[::2], turns[1::2]
    long = ends - starts >= least
    return starts[long], ends[long]


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
