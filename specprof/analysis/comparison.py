"""Cells side by side: what each gained over plain decoding measured in the same run, and why.

Every figure carries its denominator's name and, where it rests on a sample, a 95% interval. What
was not measured is None. Cells that decoded at other contexts are not set against each other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from specprof.analysis import perplexity
from specprof.analysis.stats import Estimate, ratio, widened
from specprof.analysis.summaries import (
    ByDepth,
    Figure,
    Figures,
    Yardstick,
    figure_of,
    half_width,
)
from specprof.analysis.sweep_cells import Cell
from specprof.analysis.tables import Ints
from specprof.plan import stops

__all__ = ["ByDepth", "Comparison", "Figure", "Row", "Yardstick", "baseline", "compare"]

ENOUGH_ROUNDS = 30
"""Fewer can't estimate anything (the rule too-few-rounds)."""


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
    return Yardstick(middle.astype(np.int64), ns, half_width(off))


def gain(cell: Cell, plain: Yardstick) -> Figure | None:
    """Return plain time over this cell's time for the tokens it emitted (theory 5.7).

    Total time over total time: each token would have taken a plain step at its place. The interval
    joins the block bootstrap over steps and the plain steps' own spread.
    """
    steps = cell.steps
    if not steps.wall_ns.sum() > 0:
        return None
    found = ratio(steps.emitted * plain.at(steps.context), steps.wall_ns)
    return figure_of(widened(found, plain.spread) if found.low > 0 else found)


def _row(cell: Cell, base: Cell | None) -> Row:
    withheld, told = {each.of for each in cell.doubts}, cell.figures
    if "counts" in withheld or told is None:
        return Row(cell=cell, figures={}, survival=[], repeats=[])
    figures = ({} if withheld else _speeds(cell, told, base)) | told.known
    each_forward = figure_of(ratio(cell.steps.emitted, cell.steps.target_forwards))
    if each_forward is not None:
        figures["tokens_per_target_forward"] = each_forward
    return Row(
        cell=cell,
        figures=figures,
        survival=told.survival,
        repeats=[
            1e9 * float(each.emitted.sum()) / float(each.wall_ns.sum())
            for each in cell.per_repeat
            if not withheld and each.wall_ns.sum() > 0
        ],
        by_depth=told.by_depth,
    )


def _speeds(cell: Cell, told: Figures, base: Cell | None) -> dict[str, Figure]:
    steps, found = cell.steps, dict[str, Figure | None]()
    found["emitted_per_second"] = figure_of(ratio(1e9 * steps.emitted, steps.wall_ns))
    first = cell.first_token_ns()
    if first:
        at = [each / 1e6 for each in first]
        found["ttft_ms"] = Figure(float(np.mean(at)), min(at), max(at), len(at))
    if steps.emitted.sum():  # a sequence of a batch waits for the whole step
        sequences = told.waited_ns / max(float(cell.per_repeat[0].wall_ns.sum()), 1.0)
        found["ms_per_emitted"] = figure_of(ratio(steps.wall_ns * sequences / 1e6, steps.emitted))
    own = gain(cell, told.beside) if told.beside else None
    found["speedup_over_plain_steps"] = own
    found["speedup"] = gain(cell, whole_cell(base)) if base else own
    if base is cell:
        found["speedup"] = Figure(1.0)
    return {name: figure for name, figure in found.items() if figure is not None}


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
    scored = [row.cell for row in rows if "perplexity" in row.figures and row.cell.figures]
    notes = list[str]()
    for other in scored[1:]:
        nats = _log_ratio(other, scored[0])
        if nats is not None and math.isfinite(nats.low + nats.high):
            low, times, high = (math.exp(each) for each in (nats.low, nats.value, nats.high))
            told = f"{times:.2f} [{low:.2f} {high:.2f}] of {scored[0].label!r}"
            notes.append(f"perplexity token by token: {other.label!r} has {told}")
    return notes


def _log_ratio(one: Cell, other: Cell) -> Estimate | None:
    if one.figures is None or other.figures is None:
        return None
    return perplexity.log_ratio(one.figures.text, other.figures.text)


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


def _nearest_stop(plain: Cell, context: Ints) -> Ints:
    """Return the walk's stop each context was decoded from: the last one not beyond it."""
    at = np.array(stops(plain.settings), np.int64)
    return np.asarray(at[(np.searchsorted(at, context, side="right") - 1).clip(0)], np.int64)
