"""What a comparison keeps of a capture: figures and decoding steps, never events or columns.

Knows one capture at a time. A sweep has many captures, each a hundred times as large as its
summary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from specprof.analysis import acceptance, perplexity
from specprof.analysis.columns import Columns
from specprof.analysis.contradictions import contradictions
from specprof.analysis.cost_model import medians_of_steps
from specprof.analysis.doubts import Contradiction
from specprof.analysis.recorded import Recorded
from specprof.analysis.stats import Estimate, ratio
from specprof.analysis.tables import Floats, Ints, Passes, Rounds
from specprof.errors import MissingEvidence
from specprof.records import Header

FIRST_EDGE = 128
"""Where the first bucket of depth ends. Each further bucket ends twice as deep."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, with its interval and its number of observations where these are known."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What plain decoding took per token, at some contexts."""

    context: Ints
    """Ascending."""
    ns: Floats
    """Nanoseconds per token at each of these contexts."""
    spread: float
    """Relative half-width of the mean's 95% interval."""

    def at(self, context: Ints) -> Floats:
        """Return the nanoseconds a plain token takes at these contexts."""
        return np.asarray(np.interp(context, self.context, self.ns), np.float64)


@dataclass(frozen=True, slots=True)
class ByDepth:
    """A cell's acceptance and perplexity between two depths."""

    low: int
    high: int
    """Exclusive."""
    alpha_cond: Figure | None
    perplexity: Figure | None


@dataclass(frozen=True, slots=True)
class Steps:
    """Decoding steps in order, arrays of one length: a step is a round, or a batch's rounds."""

    context: Ints
    """Committed tokens before the step, of its first sequence."""
    emitted: Floats
    """Tokens that all its sequences emitted."""
    wall_ns: Floats
    target_forwards: Floats

    def like(self, other: "Steps") -> bool:
        """Whether the same tokens were decoded in the same steps."""
        return np.array_equal(self.context, other.context) and np.array_equal(
            self.emitted, other.emitted
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What a row of the table shows of one capture."""

    known: dict[str, Figure]
    """Name -> figure. A figure that was not measured is left out."""
    survival: list[Figure]
    by_depth: list[ByDepth]
    beside: Yardstick | None
    """Plain steps that were timed beside the bursts."""
    waited_ns: float
    """The sum of all rounds' times. A sequence waits for its whole batch step."""
    text: Columns
    """Only the header and the scored tokens of known text."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a comparison needs of one capture."""

    header: Header
    steps: Steps
    doubts: Sequence[Contradiction]
    """Statements of the capture that can't all be true."""
    first_token_ns: int | None
    """Time of the first prefill plus the first round; None where one was not recorded."""
    damage: str = ""
    """Which lines could not be read, and why; empty where all lines could."""
    unreadable: bool = False
    """Whether lines are damaged and no result could be read."""
    figures: Figures | None = None
    """None where an earlier repeat has them, or where the counts contradict each other."""


def summarise(capture: Recorded, *, figures: bool = True) -> Summary:
    """Return what is kept of a capture, with its `figures` where the caller asks for them."""
    columns, doubts = capture.columns, contradictions(capture.columns)
    sure = not any(each.of == "counts" for each in doubts)
    return Summary(
        header=capture.header,
        steps=steps(columns),
        doubts=doubts,
        first_token_ns=_first_token_ns(columns),
        damage=capture.damaged.sentence(),
        unreadable=columns.unreadable is not None,
        figures=_figures(columns, capture.header) if figures and sure else None,
    )


def _figures(columns: Columns, header: Header) -> Figures:
    settings, text = header.spec.settings, Columns()
    text.header, text.scored = header, columns.scored.take(np.arange(len(columns.scored)))
    return Figures(
        known=_acceptance(columns) | _memory(columns, settings.block) | _scores(columns),
        survival=survival(columns.rounds),
        by_depth=_by_depth(columns),
        beside=plain_beside_bursts(columns, settings.batch),
        waited_ns=float(whole_ns(columns.rounds).sum()),
        text=text,
    )


def _first_token_ns(columns: Columns) -> int | None:
    if not columns.prefills or not len(columns.rounds):
        return None
    return columns.prefills[0].wall_ns + int(whole_ns(columns.rounds)[0])


def whole_ns(rounds: Rounds) -> Ints:
    """Return how long each round took, [rounds] ns. A sequence waits for its whole batch step."""
    return rounds.end_ns - rounds.start_ns


def steps(columns: Columns) -> Steps:
    """Return a capture's decoding steps. The sequences of a batch share a step and its time."""
    rounds = columns.rounds
    leader, sharing = np.arange(len(rounds)), np.flatnonzero(rounds.shared > 1)
    if len(sharing):  # of rounds that began together the first leads
        _, first, of = np.unique(rounds.start_ns[sharing], return_index=True, return_inverse=True)
        leader[sharing] = sharing[first[of]]
    leaders, step = np.unique(leader, return_inverse=True)
    return Steps(
        context=rounds.context[leaders],
        emitted=np.bincount(step, rounds.emitted, len(leaders)).astype(np.float64),
        wall_ns=whole_ns(rounds)[leaders].astype(np.float64),
        target_forwards=rounds.target_forwards[leaders].astype(np.float64),
    )


def deepest_row(columns: Columns) -> Rounds | Passes:
    """Return the round, or the pass over known text, at the longest context.

    The table has one row, or no row where nothing was recorded.
    """
    rounds, passes = columns.rounds, columns.passes
    before = passes.context - passes.scored
    if before.max(initial=-1) > rounds.context.max(initial=-1):
        return passes.take(before.argmax(axis=0, keepdims=True))
    return rounds.take(rounds.context.argmax(axis=0, keepdims=True)) if len(rounds) else rounds


def plain_beside_bursts(columns: Columns, batch: int) -> Yardstick | None:
    """Return the plain decoding that was timed beside a run's bursts, with the run's cache."""
    timed = [one for one in columns.plains if one.steps_ns]
    if not timed:
        return None
    try:
        contexts, medians, off = medians_of_steps(timed)
    except MissingEvidence:  # the clock was too coarse for a step
        return None
    per_token = medians / batch  # a plain step is one token of every sequence
    return Yardstick(contexts, per_token, half_width(off))


def survival(rounds: Rounds) -> list[Figure]:
    """Return S_1, S_2 ...: rounds that accepted i levels / rounds that drafted i levels."""
    found = []
    for level in range(1, int(rounds.levels.max(initial=0)) + 1):
        stood = (rounds.accepted[rounds.levels >= level] >= level).astype(float)
        share = ratio(stood, np.ones_like(stood))
        found.append(Figure(share.value, share.low, share.high, share.n))
    return found


def _acceptance(columns: Columns) -> dict[str, Figure]:
    rates = acceptance.rates(columns)
    found = {
        "accept_frac": rates.accept_frac,
        "alpha_cond": rates.alpha_cond,
        "tau": rates.tau,
    }
    figures = {name: figure_of(each) for name, each in found.items() if each is not None}
    if len(columns.rounds):
        figures["rounds"] = Figure(len(columns.rounds))
    return {name: figure for name, figure in figures.items() if figure is not None}


def _memory(columns: Columns, block: int) -> dict[str, Figure]:
    samples = columns.samples
    target, draft = (
        _deepest_value(columns, "target_evicted"),
        _deepest_value(columns, "draft_evicted"),
    )
    found = {
        "target_kv_bytes": _deepest_value(columns, "target_kv_bytes"),
        "draft_kv_bytes": _deepest_value(columns, "draft_kv_bytes"),
        "target_compressions": None if target is None else target / block,
        "draft_compressions": None if draft is None else draft / block,
        "device_bytes": _peak(samples.allocated_bytes) or _peak(samples.memory_used_bytes),
        "rss_bytes": _peak(samples.rss_bytes),
    }
    return {name: Figure(each) for name, each in found.items() if each is not None}


def _deepest_value(columns: Columns, name: str) -> float | None:
    """Return this column's value at the run's deepest round or pass; None where not recorded."""
    values = [float(each) for each in getattr(deepest_row(columns), name, ())]
    return None if not values or math.isnan(values[0]) else values[0]


def _scores(columns: Columns) -> dict[str, Figure]:
    passes, found = columns.passes, dict[str, Figure]()
    whole = perplexity.perplexity(columns)
    if whole is None:
        return found
    found["perplexity"] = Figure(whole.value, whole.low, whole.high, whole.n)
    speed = figure_of(ratio(1e9 * passes.scored.astype(float), passes.wall_ns.astype(float)))
    return found | ({"scored_per_second": speed} if speed else {})


def _by_depth(columns: Columns) -> list[ByDepth]:
    deepest_row = max(
        int(columns.rounds.context.max(initial=0)), int(columns.scored.context.max(initial=0))
    )
    edges = [0, FIRST_EDGE]
    while edges[-1] <= deepest_row:
        edges.append(2 * edges[-1])
    alpha = {one.low: one.alpha_cond for one in acceptance.by_context(columns, edges)}
    scored = {one.low: one.perplexity for one in perplexity.by_depth(columns)}
    return [
        ByDepth(low, high, figure_of(alpha.get(low)), figure_of(scored.get(low)))
        for low, high in pairwise(edges)
        if low in alpha or low in scored
    ]


def figure_of(estimate: Estimate | None) -> Figure | None:
    """Return an estimate as a figure; None where its value is not known."""
    if estimate is None or math.isnan(estimate.value):
        return None
    known = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    low, high = (estimate.low, estimate.high) if known else (None, None)
    return Figure(estimate.value, low, high, estimate.n)


def _peak(values: Floats) -> float | None:
    seen = values[~np.isnan(values)]
    return float(seen.max()) if len(seen) else None


def half_width(off: Floats) -> float:
    """Return the relative half-width of a 95% interval of the mean, from relative errors."""
    return 1.96 * float(off.std()) / math.sqrt(len(off)) if len(off) else 0.0
