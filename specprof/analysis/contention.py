"""How much of the time a run had to wait for a processor, and how far equal forwards differ.

Knows the counters that a run's samples hold, and times; draws no conclusion. A counter counts from
the run's start, so the last reading less the first one is what happened in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Floats, Ints
from specprof.errors import MissingEvidence

MIN_RUN_NS = 200_000_000
"""Processor time below which shares of it say nothing: some fifty turns of a scheduler."""
LEAST_TURN_NS = 4_000_000
"""Time for which another thread has the processor after an involuntary switch: a scheduler's
smallest usual turn, so that a wait estimated by it is no overestimate."""
MAX_WAITED = 0.15
"""Of wall time, for times to be trusted. A loop on a quiet machine waits for less than 1% of it.
Beside two busy processes on two cores it waits for a third."""
MAX_CONTEXT_RATIO = 1.1
"""Largest context over smallest of two forwards that count as equal."""


@dataclass(frozen=True, slots=True)
class Contention:
    """What a run got of the processors, from its first sample to its last."""

    wall_ns: float
    """Time in which the loop decoded or computed; its idle time is left out."""
    waited_ns: float
    """How long its thread was ready to run and had no processor."""
    counted: bool
    """Whether the system counted that wait. False: it is estimated, and no overestimate."""
    processor_ns: float | None
    """Processor time of the process, all threads together."""
    preempted: float | None
    """Involuntary context switches of the process."""
    elapsed_ns: float
    """From the first sample to the last."""

    @property
    def waited_frac(self) -> float:
        """Waited time / wall time."""
        return self.waited_ns / self.wall_ns


@dataclass(frozen=True, slots=True)
class Spread:
    """How far forwards that should take equally long differ."""

    frac: float
    """Median over pairs: difference / the shorter forward."""
    n: int
    """Pairs."""


def contention(evidence: Evidence) -> Contention:
    """Return what the run got of the processors.

    Raises MissingEvidence where the counters are missing, or cover too short a time.
    """
    samples = evidence.columns.samples
    ran, waited, processor, preempted = (
        _growth(getattr(samples, name))
        for name in ("loop_ran_ns", "loop_waited_ns", "processor_ns", "preempted")
    )
    elapsed = _growth(samples.at_ns.astype(float)) or 0.0
    spent = ran if ran is not None else processor
    if spent is None:
        hint = "record again: this version counts it where the system does"
        raise MissingEvidence("processor time was not recorded", hint)
    decoded, counted = min(_decoding_ns(evidence), elapsed), waited is not None
    if waited is not None:
        wall = max(decoded, spent + waited)
    else:
        wall = max(decoded, 1.0)
        waited = _estimate_wait(evidence, wall, spent, preempted)
    if max(spent, wall) < MIN_RUN_NS:
        title = f"processor time was counted over {wall / 1e9:.2f} s only"
        raise MissingEvidence(title, "record a longer run")
    return Contention(wall, waited, counted, processor, preempted, elapsed)


def is_contended(evidence: Evidence) -> bool:
    """Return whether the run is known to have waited so long that no time of it can be trusted."""
    try:
        return evidence.ask(contention).waited_frac >= MAX_WAITED
    except MissingEvidence:
        return False


def _estimate_wait(
    evidence: Evidence, wall_ns: float, processor_ns: float, preempted: float | None
) -> float:
    """Return the least time that the run waited for a processor, by its switches.

    Raises MissingEvidence where time that is missing may have been spent in waiting for a device.
    """
    lost = max(wall_ns - processor_ns, 0.0)
    if evidence.header.device != "cpu" or preempted is None:
        title = "the system doesn't count how long a thread waits for a processor"
        raise MissingEvidence(title, "record on Linux")
    return min(lost, preempted * LEAST_TURN_NS)


def _growth(counter: Floats) -> float | None:
    """Return a counter's last reading less its first; None where fewer than two were made."""
    known = counter[~np.isnan(counter)]
    return max(float(known[-1] - known[0]), 0.0) if len(known) > 1 else None


def _decoding_ns(evidence: Evidence) -> float:
    """Return the time of all rounds, prefills, plain steps and scoring passes."""
    columns = evidence.columns
    steps = sum(sum(one.steps_ns) for one in columns.plains)
    fed = sum(one.wall_ns for one in columns.prefills)
    return float(columns.rounds.wall_ns.sum() + columns.passes.wall_ns.sum() + steps + fed)


def spread(evidence: Evidence) -> Spread:
    """Return how far verify passes of one width differ at near contexts, over neighbouring pairs.

    Raises MissingEvidence where no two equal forwards were timed.
    """
    rounds, columns = evidence.timed, evidence.columns
    if "verify" not in columns.spans:
        raise MissingEvidence("no verify span was recorded", "record with --detail rounds")
    kinds = np.stack([rounds.drafted, rounds.target_forwards.astype(np.int64), rounds.shared])
    ns, off = columns.spans["verify"].astype(float), list[Floats]()
    for those in _alike(kinds):
        order = those[np.argsort(rounds.context[those], kind="stable")]
        one, other = ns[order[:-1]], ns[order[1:]]
        near = rounds.context[order[1:]] <= MAX_CONTEXT_RATIO * rounds.context[order[:-1]]
        near &= np.minimum(one, other) > 0
        off.append((np.abs(one - other) / np.maximum(np.minimum(one, other), 1.0))[near])
    pairs = np.concatenate(off) if off else np.empty(0)
    if not len(pairs):
        raise MissingEvidence("no two equal forwards were timed", "record a longer run")
    return Spread(float(np.median(pairs)), len(pairs))


def _alike(kinds: Ints) -> Iterator[Ints]:
    """Yield the rows of every kind; `kinds` are [facts, rows]."""
    _, number = np.unique(kinds, axis=1, return_inverse=True)
    for each in range(int(number.max(initial=-1)) + 1):
        yield np.flatnonzero(number == each).astype(np.int64)
