"""Cells side by side: what each gained over plain decoding measured in the same run, and why.

Every figure carries its denominator's name and, where it rests on a sample, a 95 % interval. What
was not measured is None. Cells that decoded at other contexts are not set against each other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from specprof.analysis import acceptance, perplexity
from specprof.analysis.cells import Cell, whole_ns
from specprof.analysis.columns import Columns
from specprof.analysis.cost_model import medians_of_steps
from specprof.analysis.stats import Estimate, ratio, widened
from specprof.analysis.tables import Floats, Ints, Rounds
from specprof.errors import MissingEvidence
from specprof.plan import stops

ENOUGH_ROUNDS = 30
"""Fewer can't estimate anything (the rule too-few-rounds)."""
FIRST_EDGE = 128
"""Where the first bucket of depth ends; each further one ends twice as deep."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, with its interval and how much it rests on where that is known."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What plain decoding took a token, at some contexts."""

    context: Ints
    """Ascending."""
    ns: Floats
    """A token, there."""
    spread: float
    """Relative half-width of the mean's 95 % interval."""

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


@dataclass(frozen=True)
class Row:
    """One cell's figures by name; what was not measured is not among them."""

    cell: Cell
    figures: dict[str, Figure]
    survival: list[Figure]
    """S_1, S_2 ..: rounds that accepted so many levels / rounds that drafted so many."""
    repeats: list[float]
    """emitted / second of each repeat."""
    by_depth: list[ByDepth] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """The table: a row a cell, and what must be known to read it."""

    rows: list[Row]
    notes: list[str]
    damage: list[str] = field(default_factory=list)
    """What of the captures could not be read: to be said before any figure."""
    ruined: bool = False
    """Whether no capture holds a result that could be read, for lines are damaged."""


def compare(cells: Sequence[Cell]) -> Comparison:
    """Return every cell's figures, and the notes without which they would mislead."""
    baselines = [baseline(cell, cells) for cell in cells]
    rows = [_row(cell, base) for cell, base in zip(cells, baselines, strict=True)]
    damage = [f"{cell.label}: {told}" for cell in cells for told in cell.damage]
    ruined = bool(damage) and all(cell.unreadable for cell in cells)
    return Comparison(rows, _notes(rows, baselines), damage, ruined=ruined)


def baseline(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """Return the plain cell this one is set against: the first of the same text, model and law.

    One that ran to its end goes before one that did not.
    """
    fields = ("target", "dtype", "device", "temperature", "top_p", "top_k", "batch", "threads")
    for other in sorted(cells, key=lambda each: each.state != "complete"):
        alike = all(getattr(cell.settings, f) == getattr(other.settings, f) for f in fields)
        plain = other.settings.drafter == "none" and len(other.steps.wall_ns)
        if plain and alike and other.contexts == cell.contexts and not other.doubts:
            return other
    return None


def beside_bursts(cell: Cell) -> Yardstick | None:
    """Return plain decoding as it was timed beside the cell's own bursts, with its own cache."""
    timed = [one for one in cell.columns.plains if one.steps_ns]
    if not timed:
        return None
    try:
        contexts, medians, off = medians_of_steps(timed)
    except MissingEvidence:  # the clock was too coarse for a step
        return None
    per_token = medians / cell.settings.batch  # a plain step is one token of every sequence
    return Yardstick(contexts, per_token, _half_width(off))


def whole_cell(plain: Cell) -> Yardstick:
    """Return plain decoding as a cell of its own took it, step by step in order of context."""
    steps = plain.steps
    order = np.argsort(steps.context, kind="stable")
    context, wall_ns, emitted = (
        steps.context[order],
        steps.wall_ns[order],
        steps.emitted[order],
    )
    _, of = np.unique(_nearest_stop(plain, context), return_inverse=True)
    spent, came = (np.bincount(of, weights=each) for each in (wall_ns, emitted))
    middle = np.bincount(of, weights=context) / np.bincount(of)
    ns = spent / np.maximum(came, 1)
    off = wall_ns / np.maximum(ns[of] * emitted, 1) - 1
    return Yardstick(middle.astype(np.int64), ns, _half_width(off))


def gain(cell: Cell, plain: Yardstick) -> Figure | None:
    """Return plain time over this cell's time for the tokens it emitted (theory 5.7).

    Total time over total time: each token would have taken a plain step at its place. The interval
    joins the block bootstrap over steps and the plain steps' own spread.
    """
    steps = cell.steps
    if not steps.wall_ns.sum() > 0:
        return None
    found = ratio(steps.emitted * plain.at(steps.context), steps.wall_ns)
    return _figure(widened(found, plain.spread) if found.low > 0 else found)


def survival(rounds: Rounds) -> list[Figure]:
    """Return S_1, S_2 ..: rounds that accepted so many levels / rounds that drafted so many."""
    found = []
    for level in range(1, int(rounds.levels.max(initial=0)) + 1):
        stood = (rounds.accepted[rounds.levels >= level] >= level).astype(float)
        share = ratio(stood, np.ones_like(stood))
        found.append(Figure(share.value, share.low, share.high, share.n))
    return found


def _row(cell: Cell, base: Cell | None) -> Row:
    withheld = {each.of for each in cell.doubts}
    if "counts" in withheld:
        return Row(cell=cell, figures={}, survival=[], repeats=[])
    figures = {} if withheld else _speeds(cell, base)
    return Row(
        cell=cell,
        figures=figures | _acceptance(cell) | _memory(cell) | _scores(cell),
        survival=survival(cell.columns.rounds),
        repeats=[
            1e9 * float(each.emitted.sum()) / float(each.wall_ns.sum())
            for each in cell.per_repeat
            if not withheld and each.wall_ns.sum() > 0
        ],
        by_depth=_by_depth(cell.columns),
    )


def _speeds(cell: Cell, base: Cell | None) -> dict[str, Figure]:
    steps, found = cell.steps, dict[str, Figure | None]()
    found["emitted_per_second"] = _figure(ratio(1e9 * steps.emitted, steps.wall_ns))
    first = cell.first_token_ns()
    if first:
        at = [each / 1e6 for each in first]
        found["ttft_ms"] = Figure(float(np.mean(at)), min(at), max(at), len(at))
    if steps.emitted.sum():  # a sequence of a batch waits for the whole step
        waited_ns = float(whole_ns(cell.columns.rounds).sum())
        sequences = waited_ns / max(float(cell.per_repeat[0].wall_ns.sum()), 1.0)
        found["ms_per_emitted"] = _figure(ratio(steps.wall_ns * sequences / 1e6, steps.emitted))
    beside = beside_bursts(cell)
    own = gain(cell, beside) if beside else None
    found["speedup_over_plain_steps"] = own
    found["speedup"] = gain(cell, whole_cell(base)) if base else own
    if base is cell:
        found["speedup"] = Figure(1.0)
    return {name: figure for name, figure in found.items() if figure is not None}


def _acceptance(cell: Cell) -> dict[str, Figure]:
    rates = acceptance.rates(cell.columns)
    steps = cell.steps
    found = {
        "accept_frac": rates.accept_frac,
        "alpha_cond": rates.alpha_cond,
        "tau": rates.tau,
        "tokens_per_target_forward": ratio(steps.emitted, steps.target_forwards),
    }
    figures = {name: _figure(each) for name, each in found.items() if each is not None}
    if len(cell.columns.rounds):
        figures["rounds"] = Figure(len(cell.columns.rounds))
    return {name: figure for name, figure in figures.items() if figure is not None}


def _memory(cell: Cell) -> dict[str, Figure]:
    samples, block = cell.columns.samples, cell.settings.block
    target, draft = _known(cell, "target_evicted"), _known(cell, "draft_evicted")
    found = {
        "target_kv_bytes": _known(cell, "target_kv_bytes"),
        "draft_kv_bytes": _known(cell, "draft_kv_bytes"),
        "target_compressions": None if target is None else target / block,
        "draft_compressions": None if draft is None else draft / block,
        "device_bytes": _peak(samples.allocated_bytes) or _peak(samples.memory_used_bytes),
        "rss_bytes": _peak(samples.rss_bytes),
    }
    return {name: Figure(each) for name, each in found.items() if each is not None}


def _known(cell: Cell, name: str) -> float | None:
    """Return what was told of the cell's deepest round, or pass over known text."""
    told = [float(each) for each in getattr(cell.deepest(), name, ())]
    return None if not told or math.isnan(told[0]) else told[0]


def _scores(cell: Cell) -> dict[str, Figure]:
    passes, found = cell.columns.passes, dict[str, Figure]()
    whole = perplexity.perplexity(cell.columns)
    if whole is None:
        return found
    found["perplexity"] = Figure(whole.value, whole.low, whole.high, whole.n)
    speed = _figure(ratio(1e9 * passes.scored.astype(float), passes.wall_ns.astype(float)))
    return found | ({"scored_per_second": speed} if speed else {})


def _by_depth(columns: Columns) -> list[ByDepth]:
    deepest = max(
        int(columns.rounds.context.max(initial=0)), int(columns.scored.context.max(initial=0))
    )
    edges = [0, FIRST_EDGE]
    while edges[-1] <= deepest:
        edges.append(2 * edges[-1])
    alpha = {one.low: one.alpha_cond for one in acceptance.by_context(columns, edges)}
    scored = {one.low: one.perplexity for one in perplexity.by_depth(columns)}
    return [
        ByDepth(low, high, _figure(alpha.get(low)), _figure(scored.get(low)))
        for low, high in pairwise(edges)
        if low in alpha or low in scored
    ]


def _notes(rows: Sequence[Row], baselines: Sequence[Cell | None]) -> list[str]:
    notes = list[str]()
    used = dict.fromkeys(base.label for base in baselines if base is not None)
    if used:
        notes.append(f"speed-up: over {_few([*used])}, time over time at the same contexts")
    alone = [
        row.cell.label
        for row, base in zip(rows, baselines, strict=True)
        if base is None and "speedup" in row.figures
    ]
    if alone:
        notes.append(f"speed-up over plain steps beside each burst: {_few(alone)}")
    notes += _paired(rows)
    notes += _warnings(rows)
    return notes


def _paired(rows: Sequence[Row]) -> list[str]:
    """Tell scored cells token by token against the first: what the text does cancels."""
    scored = [row.cell for row in rows if "perplexity" in row.figures]
    notes = list[str]()
    for other in scored[1:]:
        nats = perplexity.log_ratio(other.columns, scored[0].columns)
        if nats is not None and math.isfinite(nats.low + nats.high):
            low, times, high = (math.exp(each) for each in (nats.low, nats.value, nats.high))
            told = f"{times:.2f} [{low:.2f} {high:.2f}] of {scored[0].label!r}"
            notes.append(f"perplexity token by token: {other.label!r} has {told}")
    return notes


def _warnings(rows: Sequence[Row]) -> list[str]:
    told = {
        "too few rounds to estimate anything": [
            row.cell.label
            for row in rows
            if row.figures.get("rounds", Figure(ENOUGH_ROUNDS)).value < ENOUGH_ROUNDS
        ],
        "lossy, the target's law is not kept": [
            row.cell.label for row in rows if row.cell.header and row.cell.header.lossless is False
        ],
        "not complete": [row.cell.label for row in rows if row.cell.state != "complete"],
    }
    notes = [f"{what}: {_few(labels)}" for what, labels in told.items() if labels]
    notes += [f"{row.cell.label}: {row.cell.trouble}" for row in rows if row.cell.trouble]
    notes += [
        f"{row.cell.label}: the capture contradicts itself: {each.told}; no figure that rests on "
        f"{each.of} is shown"
        for row in rows
        for each in row.cell.doubts
    ]
    decoded = {row.cell.contexts for row in rows if len(row.cell.steps.wall_ns)}
    if len(decoded) > 1:
        notes.append("cells decoded at different contexts: compare only those that share them")
    machines = [dict(row.cell.header.machine) for row in rows if row.cell.header]
    counts = {each.pop("torch_threads", None) for each in machines}
    for each in machines:
        each.pop("bandwidth_bytes_per_s", None)  # measured, and so never twice the same
    if any(each != machines[0] for each in machines):
        notes.append("recorded on different machines: times are not comparable")
    elif len(counts) > 1:
        notes.append("threads differ by cell: unless told, each takes the count measured fastest")
    return notes


def _few(labels: Sequence[str]) -> str:
    shown = 4
    rest = f" and {len(labels) - shown} more" if len(labels) > shown else ""
    return ", ".join(repr(each) for each in labels[:shown]) + rest


def _figure(estimate: Estimate | None) -> Figure | None:
    if estimate is None or math.isnan(estimate.value):
        return None
    known = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    low, high = (estimate.low, estimate.high) if known else (None, None)
    return Figure(estimate.value, low, high, estimate.n)


def _peak(values: Floats) -> float | None:
    seen = values[~np.isnan(values)]
    return float(seen.max()) if len(seen) else None


def _half_width(off: Floats) -> float:
    """Return the relative half-width of a 95 % interval of the mean, from relative errors."""
    return 1.96 * float(off.std()) / math.sqrt(len(off)) if len(off) else 0.0


def _nearest_stop(plain: Cell, context: Ints) -> Ints:
    """Return the walk's stop each context was decoded from: the last one not beyond it."""
    at = np.array(stops(plain.settings), np.int64)
    return np.asarray(at[(np.searchsorted(at, context, side="right") - 1).clip(0)], np.int64)
