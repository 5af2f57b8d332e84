"""Cells side by side: each cell's speed-up over plain decoding, and the figures that explain it.

Every figure carries its denominator's name and, where it rests on a sample, a 95% interval. What
was not measured is left out. Cells that decoded at different contexts are not compared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from specprof.analysis import perplexity
from specprof.analysis.stats import Estimate, ratio, widen
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

MIN_ROUNDS = 30
"""Fewer rounds can't estimate anything (the rule too-few-rounds)."""


@dataclass(frozen=True)
class Row:
    """One cell's figures by name. A figure that was not measured is left out."""

    cell: Cell
    figures: dict[str, Figure]
    survival: list[Figure]
    """S_1, S_2 ...: rounds that accepted i levels / rounds that drafted i levels."""
    repeats: list[float]
    """Emitted tokens per second of each repeat."""
    by_depth: list[ByDepth] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """The table: one row per cell, and the notes that are needed to read it."""

    rows: list[Row]
    notes: list[str]
    damage: list[str] = field(default_factory=list)
    """Which lines of the captures could not be read: print these before any figure."""
    ruined: bool = False
    """Whether lines are damaged and no capture holds a result that could be read."""


def compare(cells: Sequence[Cell]) -> Comparison:
    """Return every cell's figures, and the notes without which the figures would mislead."""
    baselines = [baseline(cell, cells) for cell in cells]
    rows = [_row(cell, base) for cell, base in zip(cells, baselines, strict=True)]
    damage = [f"{cell.label}: {lines}" for cell in cells for lines in cell.damage]
    ruined = bool(damage) and all(cell.unreadable for cell in cells)
    return Comparison(rows, _notes(rows, baselines), damage, ruined=ruined)


def baseline(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """Return the plain cell to compare this cell with: the first of the same text, model and law.

    Complete cells are preferred to incomplete ones. None where there is no such cell.
    """
    fields = ("target", "dtype", "device", "temperature", "top_p", "top_k", "batch", "threads")
    for other in sorted(cells, key=lambda each: each.state != "complete"):
        alike = all(getattr(cell.settings, f) == getattr(other.settings, f) for f in fields)
        plain = other.settings.drafter == "none" and len(other.steps.wall_ns)
        if plain and alike and other.contexts == cell.contexts and not other.doubts:
            return other
    return None


def yardstick_of_cell(plain: Cell) -> Yardstick:
    """Return plain decoding's time per token from a plain cell, in order of context."""
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
    """Return plain decoding's time / this cell's time for the tokens it emitted (theory 5.7).

    Both are total times: plain decoding would have taken one step per token, at the token's
    context. The interval joins the block bootstrap over steps and the plain steps' spread. None
    where the cell took no time.
    """
    steps = cell.steps
    if not steps.wall_ns.sum() > 0:
        return None
    found = ratio(steps.emitted * plain.at(steps.context), steps.wall_ns)
    return figure_of(widen(found, plain.spread) if found.low > 0 else found)


def _row(cell: Cell, base: Cell | None) -> Row:
    withheld, own = {each.of for each in cell.doubts}, cell.figures
    if "counts" in withheld or own is None:
        return Row(cell=cell, figures={}, survival=[], repeats=[])
    figures = ({} if withheld else _speeds(cell, own, base)) | own.known
    each_forward = figure_of(ratio(cell.steps.emitted, cell.steps.target_forwards))
    if each_forward is not None:
        figures["tokens_per_target_forward"] = each_forward
    return Row(
        cell=cell,
        figures=figures,
        survival=own.survival,
        repeats=[
            1e9 * float(each.emitted.sum()) / float(each.wall_ns.sum())
            for each in cell.per_repeat
            if not withheld and each.wall_ns.sum() > 0
        ],
        by_depth=own.by_depth,
    )


def _speeds(cell: Cell, own: Figures, base: Cell | None) -> dict[str, Figure]:
    steps, found = cell.steps, dict[str, Figure | None]()
    found["emitted_per_second"] = figure_of(ratio(1e9 * steps.emitted, steps.wall_ns))
    first = cell.first_token_ns()
    if first:
        at = [each / 1e6 for each in first]
        found["ttft_ms"] = Figure(float(np.mean(at)), min(at), max(at), len(at))
    if steps.emitted.sum():  # a sequence of a batch waits for the whole step
        sequences = own.waited_ns / max(float(cell.per_repeat[0].wall_ns.sum()), 1.0)
        found["ms_per_emitted"] = figure_of(ratio(steps.wall_ns * sequences / 1e6, steps.emitted))
    over_steps = gain(cell, own.beside) if own.beside else None
    found["speedup_over_plain_steps"] = over_steps
    found["speedup"] = gain(cell, yardstick_of_cell(base)) if base else over_steps
    if base is cell:
        found["speedup"] = Figure(1.0)
    return {name: figure for name, figure in found.items() if figure is not None}


def _notes(rows: Sequence[Row], baselines: Sequence[Cell | None]) -> list[str]:
    notes = list[str]()
    used = dict.fromkeys(base.label for base in baselines if base is not None)
    if used:
        notes.append(f"speed-up: over {_join_labels([*used])}, time over time at the same contexts")
    alone = [
        row.cell.label
        for row, base in zip(rows, baselines, strict=True)
        if base is None and "speedup" in row.figures
    ]
    if alone:
        notes.append(f"speed-up over plain steps beside each burst: {_join_labels(alone)}")
    notes += _paired_perplexities(rows)
    notes += _warnings(rows)
    return notes


def _paired_perplexities(rows: Sequence[Row]) -> list[str]:
    """Compare scored cells with the first, token by token: the text's own difficulty cancels."""
    scored = [row.cell for row in rows if "perplexity" in row.figures and row.cell.figures]
    notes = list[str]()
    for other in scored[1:]:
        nats = _log_ratio(other, scored[0])
        if nats is not None and math.isfinite(nats.low + nats.high):
            low, times, high = (math.exp(each) for each in (nats.low, nats.value, nats.high))
            share = f"{times:.2f} [{low:.2f} {high:.2f}] of {scored[0].label!r}"
            notes.append(f"perplexity token by token: {other.label!r} has {share}")
    return notes


def _log_ratio(one: Cell, other: Cell) -> Estimate | None:
    if one.figures is None or other.figures is None:
        return None
    return perplexity.log_ratio(one.figures.text, other.figures.text)


def _warnings(rows: Sequence[Row]) -> list[str]:
    warned = {
        "too few rounds to estimate anything": [
            row.cell.label
            for row in rows
            if row.figures.get("rounds", Figure(MIN_ROUNDS)).value < MIN_ROUNDS
        ],
        "lossy, the target's law is not kept": [
            row.cell.label for row in rows if row.cell.header and row.cell.header.lossless is False
        ],
        "not complete": [row.cell.label for row in rows if row.cell.state != "complete"],
    }
    notes = [f"{what}: {_join_labels(labels)}" for what, labels in warned.items() if labels]
    notes += [f"{row.cell.label}: {row.cell.trouble}" for row in rows if row.cell.trouble]
    notes += [
        f"{row.cell.label}: the capture contradicts itself: {text}; no figure that rests on {kind} "
        f"is shown"
        for row in rows
        for kind, text in ((each.of, each.told) for each in row.cell.doubts)
    ]
    decoded = {row.cell.contexts for row in rows if len(row.cell.steps.wall_ns)}
    if len(decoded) > 1:
        notes.append("cells decoded at different contexts: compare only those that share them")
    machines = [dict(row.cell.header.machine) for row in rows if row.cell.header]
    counts = {each.pop("torch_threads", None) for each in machines}
    for each in machines:
        each.pop("bandwidth_bytes_per_s", None)  # measured, so it differs a little every time
    if any(each != machines[0] for each in machines):
        notes.append("recorded on different machines: times are not comparable")
    elif len(counts) > 1:
        notes.append(
            "thread counts differ by cell (each took its fastest): --threads N makes them equal"
        )
    return notes


def _join_labels(labels: Sequence[str]) -> str:
    shown = 4
    rest = f" and {len(labels) - shown} more" if len(labels) > shown else ""
    return ", ".join(repr(each) for each in labels[:shown]) + rest


def _nearest_stop(plain: Cell, context: Ints) -> Ints:
    """Return the walk's stop from which each context was decoded: the last stop up to it."""
    at = np.array(stops(plain.settings), np.int64)
    return np.asarray(at[(np.searchsorted(at, context, side="right") - 1).clip(0)], np.int64)
