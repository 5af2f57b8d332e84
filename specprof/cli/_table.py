"""Prints comparisons: one table, fitted to the screen, or the same figures as JSON or CSV."""

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specprof.analysis.comparison import ByDepth, Comparison, Figure, Row

WIDTH = 100
GAP = "  "
ABSENT = "–"
LONGEST_LABEL = 32
SCHEMA = "specprof.compare/1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    head: str
    under: str
    """Its unit or denominator."""
    text: "Callable[[Row], str]"


def _plainly(name: str, form: str, scale: float = 1.0) -> "Callable[[Row], str]":
    def text(row: "Row") -> str:
        figure = row.figures.get(name)
        return ABSENT if figure is None else format(figure.value / scale, form)

    return text


def _speed(row: "Row") -> str:
    """Tokens a second, and half the range over the repeats."""
    told = _plainly("emitted_per_second", ".1f")(row)
    if len(row.repeats) < 2:  # noqa: PLR2004 - no range without a second
        return told
    spread = (max(row.repeats) - min(row.repeats)) / (2 * sum(row.repeats) / len(row.repeats))
    return f"{told} ±{spread:.0%}"


def _bounded(name: str, form: str = ".2f") -> "Callable[[Row], str]":
    def text(row: "Row") -> str:
        figure = row.figures.get(name)
        if figure is None:
            return ABSENT
        told = format(figure.value, form)
        if figure.low is None or figure.high is None:
            return told
        return f"{told} [{figure.low:{form}} {figure.high:{form}}]"

    return text


def _perplexity(row: "Row") -> str:
    """Perplexity, and half the width of its interval."""
    told, figure = _plainly("perplexity", ".2f")(row), row.figures.get("perplexity")
    if figure is None or figure.low is None or figure.high is None:
        return told
    return f"{told} ±{(figure.high - figure.low) / 2:.2f}"


def _survival(row: "Row") -> str:
    return " ".join(f"{each.value:.2f}" for each in row.survival) or ABSENT


def _state(row: "Row") -> str:
    return row.cell.state


MB = 1e6
COLUMNS = {
    "emitted_per_second": Column("emitted", "/second", _speed),
    "speedup": Column("speed-up", "over plain", _bounded("speedup")),
    "tau": Column("tau", "/round", _plainly("tau", ".2f")),
    "alpha_cond": Column("alpha_cond", "/reached", _plainly("alpha_cond", ".3f")),
    "perplexity": Column("PPL", "", _perplexity),
    "ms_per_emitted": Column("TPOT", "ms", _plainly("ms_per_emitted", ".2f")),
    "ttft_ms": Column("TTFT", "ms", _plainly("ttft_ms", ".0f")),
    "tokens_per_target_forward": Column(
        "emitted", "/forward", _plainly("tokens_per_target_forward", ".2f")
    ),
    "state": Column("state", "", _state),
    "target_kv_bytes": Column("target", "KV MB", _plainly("target_kv_bytes", ".2f", MB)),
    "target_compressions": Column("target", "compr.", _plainly("target_compressions", ".0f")),
    "draft_kv_bytes": Column("draft", "KV MB", _plainly("draft_kv_bytes", ".2f", MB)),
    "draft_compressions": Column("draft", "compr.", _plainly("draft_compressions", ".0f")),
    "device_bytes": Column("device", "MB", _plainly("device_bytes", ".0f", MB)),
    "accept_frac": Column("accept_frac", "/drafted", _plainly("accept_frac", ".3f")),
    "rounds": Column("rounds", "", _plainly("rounds", ".0f")),
    "scored_per_second": Column("scored", "/second", _plainly("scored_per_second", ".0f")),
    "speedup_over_plain_steps": Column(
        "speed-up", "own cache", _bounded("speedup_over_plain_steps")
    ),
    "rss_bytes": Column("process", "MB", _plainly("rss_bytes", ".0f", MB)),
    "survival": Column("S_1 S_2 ..", "/drafted there", _survival),
}
"""By relevance: what doesn't fit is left out from the end."""
HELD = ("target_kv_bytes", "target_compressions", "draft_kv_bytes", "draft_compressions")
"""Columns that come before `BEFORE` where a cache drops tokens: memory is what is asked then."""
BEFORE = "ms_per_emitted"


def show(
    paths: Sequence[Path],
    *,
    json: bool = False,
    csv_: bool = False,
    wide: bool = False,
    by_depth: bool = False,
) -> None:
    """Write the comparison of these captures and sweeps to stdout."""
    from specprof.analysis.comparison import compare
    from specprof.analysis.sweep_cells import read_cells
    from specprof.capture import no_result_error
    from specprof.plain import plain

    found = compare(read_cells(paths))
    if json:
        sys.stdout.write(document(found))
    elif csv_:
        sys.stderr.writelines(f"{plain(line)}\n" for line in found.damage)
        _spreadsheet(found)
    else:
        _print([*found.damage, ""] if found.damage else [])
        _print(table(found, width=None if wide else WIDTH))
        if by_depth:
            _print(depths(found))
        notes = found.notes + ([] if wide else _left_out(found, WIDTH))
        _print(["", *notes] if notes else [])
    if found.ruined:
        raise no_result_error(", ".join(map(str, paths)), found.damage[0])


def table(found: "Comparison", width: int | None) -> list[str]:
    """Return the table's lines: the columns that somebody has a figure in, as far as they fit."""
    return _lines([["", "", *map(_label, found.rows)], *_fitting(found, width).values()])


def depths(found: "Comparison") -> list[str]:
    """Return acceptance and perplexity by depth: a column each range of context lengths."""
    lines = list[str]()
    for head, figure in (
        ("alpha_cond (accepted/reached) by context length", lambda one: one.alpha_cond),
        ("PPL by context length", lambda one: one.perplexity),
    ):
        lines += _depth_table(head, found.rows, figure)
    return lines


def document(found: "Comparison") -> str:
    """Return the comparison as one JSON document: every figure, with what it rests on."""
    import msgspec

    from specprof.plain import as_json, escape_json

    cells = [
        {
            "label": row.cell.label,
            "id": row.cell.spec.id,
            "varied": row.cell.spec.varied,
            "state": row.cell.state,
            "trouble": row.cell.trouble,
            "repeats_emitted_per_second": row.repeats,
            "figures": row.figures,
            "survival": row.survival,
            "by_depth": row.by_depth,
        }
        for row in found.rows
    ]
    notes = found.damage + found.notes
    whole = {"schema": SCHEMA, "cells": cells, "notes": notes}
    return escape_json(msgspec.json.format(as_json(whole), indent=2)).decode() + "\n"


def _fitting(found: "Comparison", width: int | None) -> dict[str, list[str]]:
    """Return the columns that fit beside the labels, by name: their heads and texts."""
    labels, chosen = ["", "", *map(_label, found.rows)], dict[str, list[str]]()
    for name in _by_relevance(found.rows):
        column = COLUMNS[name]
        texts = [column.head, column.under, *map(column.text, found.rows)]
        if width is None or _width([labels, *chosen.values(), texts]) <= width:
            chosen[name] = texts
    return chosen


def _left_out(found: "Comparison", width: int) -> list[str]:
    """Return a note of the columns that don't fit; none where all do."""
    fitting = _fitting(found, width)
    others = [COLUMNS[name] for name in _by_relevance(found.rows) if name not in fitting]
    told = ", ".join(f"{each.head} {each.under}".rstrip() for each in others)
    return [f"more with specprof compare --wide: {told}"] if others else []


def _by_relevance(rows: "Sequence[Row]") -> list[str]:
    """Return the names of the columns that somebody has a figure in, the most telling first."""
    names = [name for name in COLUMNS if _tells(name, rows)]
    evicting = any("compressions" in name for row in rows for name in row.figures)
    held = [name for name in names if evicting and name in HELD]
    rest = [name for name in names if name not in held]
    place = rest.index(BEFORE) if BEFORE in rest else len(rest)
    return [*rest[:place], *held, *rest[place:]]


def _spreadsheet(found: "Comparison") -> None:
    """Write a row a cell, a figure and its interval a column; empty is not known."""
    from specprof.exporters.csv import no_formula

    names = [name for name in COLUMNS if any(name in row.figures for row in found.rows)]
    rows = csv.writer(sys.stdout, lineterminator="\n")
    bounds = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    rows.writerow(["label", "id", "state", "repeats", *bounds])
    for row in found.rows:
        known = [row.figures.get(name) for name in names]
        figures = [
            end
            for each in known
            for end in ((each.value, each.low, each.high) if each else [None] * 3)
        ]
        cell = row.cell
        rows.writerow([no_formula(cell.label), no_formula(cell.spec.id), cell.state,
                       len(cell.captures), *figures])  # fmt: skip


def _depth_table(
    head: str, rows: "Sequence[Row]", figure: "Callable[[ByDepth], Figure | None]"
) -> list[str]:
    known = {
        _label(row): {one.low: found.value for one in row.by_depth if (found := figure(one))}
        for row in rows
    }
    edges = {one.low: one.high for row in rows for one in row.by_depth if figure(one)}
    told = {label: at for label, at in known.items() if at}
    grid = [["up to", *told]]
    for low, high in sorted(edges.items()):
        texts = [f"{at[low]:.2f}" if low in at else ABSENT for at in told.values()]
        grid.append([f"{high:,}", *texts])
    return ["", head, *_lines(grid, heads=1)] if told else []


def _label(row: "Row") -> str:
    from specprof.plain import plain

    told = plain(row.cell.label)
    return told if len(told) <= LONGEST_LABEL else told[: LONGEST_LABEL - 1] + "…"


def _tells(name: str, rows: "Sequence[Row]") -> bool:
    """Whether a column says something: the state of what ended well says nothing."""
    if name == "state":
        return any(row.cell.state != "complete" for row in rows)
    if name == "tokens_per_target_forward":  # one forward a round, as it should be
        return any(row.figures.get(name) != row.figures.get("tau") for row in rows)
    return any(name in row.figures or (name == "survival" and row.survival) for row in rows)


def _width(grid: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) for column in grid) + len(GAP) * (len(grid) - 1)


def _lines(grid: Sequence[Sequence[str]], heads: int = 2) -> list[str]:
    """Return columns of texts as aligned lines, the first column to the left, a rule below."""
    widths = [max(map(len, column)) for column in grid]
    lines = [
        GAP.join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in zip(*grid, strict=True)
    ]
    return [*lines[:heads], "─" * _width(grid), *lines[heads:]]


def _print(lines: Sequence[str]) -> None:
    """Write lines, with colour on a terminal and the same characters anywhere else."""
    from rich.console import Console
    from rich.text import Text

    from specprof.plain import plain

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(Text(plain(line)))
