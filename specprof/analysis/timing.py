"""Where the time went: phases of the rounds, parts of a request; all parts sum to the whole.

Knows nanoseconds and names of spans. A batch step's time is divided among its sequences' rounds.
The host gap is the time that no top-level span covers. The tail is the time that neither prefill
nor rounds cover. Both are derived, so the parts sum to the wall time by definition (theory I12).
Where clocks overlap, the other parts alone exceed it: gap and tail are then 0, because no time is
negative.
"""

from dataclasses import dataclass

import numpy as np

from specprof.analysis.columns import Columns

GAP = "gap"
"""The host gap's name among the phases."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of all rounds together."""

    name: str
    total_ns: int
    wall_frac: float
    """total / wall time of all rounds."""
    ns_per_round: float
    ns_per_emitted: float


@dataclass(frozen=True, slots=True)
class Request:
    """A burst's wall time in parts: prefill + rounds + tail = wall, unless clocks overlap."""

    burst: int
    prefill_ns: int
    rounds_ns: int
    tail_ns: int
    """Time between and after the rounds: recording, observing, the loop itself."""
    wall_ns: int


def phases(columns: Columns) -> list[Phase]:
    """Return every top-level span, in order of first appearance, and then the gap.

    Their `total_ns` sum to the rounds' wall time exactly, or exceed it where clocks overlap. Empty
    where the rounds took no time.
    """
    rounds = columns.rounds
    wall, emitted = int(rounds.wall_ns.sum()), int(rounds.emitted.sum())
    if not wall:
        return []
    totals = {name: int(ns.sum()) for name, ns in columns.spans.items()}
    totals[GAP] = max(wall - sum(totals.values()), 0)
    return [
        Phase(name, ns, ns / wall, ns / len(rounds), ns / max(emitted, 1))
        for name, ns in totals.items()
    ]


def requests(columns: Columns) -> list[Request]:
    """Return each finished burst in parts that sum to its wall time, or exceed it: see above."""
    rounds, prefill = columns.rounds, dict[int, int]()
    for fed in columns.prefills:
        prefill[fed.burst] = prefill.get(fed.burst, 0) + fed.wall_ns
    bursts, of = np.unique(rounds.burst, return_inverse=True)
    whole_ns = rounds.end_ns - rounds.start_ns  # a sequence waits for its whole batch step
    walls = np.bincount(of, weights=whole_ns, minlength=len(bursts))
    within = dict(zip(bursts.tolist(), walls.tolist(), strict=True))
    found = []
    for burst in columns.bursts:
        fed_ns = prefill.get(burst.burst, 0)
        rounds_ns = int(within.get(burst.burst, 0))
        tail = max(burst.wall_ns - fed_ns - rounds_ns, 0)
        found.append(Request(burst.burst, fed_ns, rounds_ns, tail, burst.wall_ns))
    return found
