"""Prints comparisons: a table within 100 characters, or the same figures as JSON or CSV."""

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specprof.analysis.comparison import ByDepth, Comparison, Figure, Row

TABLE_WIDTH = 100
COLUMN_GAP = "  "
MISSING_TEXT = "–"
MAX_LABEL_WIDTH = 32
SCHEMA = "specprof.compare/1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    head: str
    under: str
    """The unit or the denominator, below `head`."""
    text: "Callable[[Row], str]"


def _plain_figure(name: str, form: str, scale: float = 1.0) -> "Callable[[Row], str]":
    def text(row: "Row") -> str:
        figure = row.figures.get(name)
        return MISSING_TEXT if figure is None else format(figure.value / scale, form)

    return text


def _format_speed(row: "Row") -> str:
    """Return tokens a second, and half the range over the repeats in percent of their mean."""
    mean = _plain_figure("emitted_per_second", ".1f")(row)
    if len(row.repeats) < 2:  # noqa: PLR2004 - one repeat has no range
        return mean
    spread = (max(row.repeats) - min(row.repeats)) / (2 * sum(row.repeats) / len(row.repeats))
    return f"{mean} ±{spread:.0%}"


def _figure_with_interval(name: str, form: str = ".2f") -> "Callable[[Row], str]":
    def text(row: "Row") -> str:
        figure = row.figures.get(name)
        if figure is None:
            return MISSING_TEXT
        value = format(figure.value, form)
        if figure.low is None or figure.high is None:
            return value
        return f"{value} [{figure.low:{form}} {figure.high:{form}}]"

    return text


def _format_perplexity(row: "Row") -> str:
    """Return the perplexity, and half the width of its interval."""
    value, figure = _plain_figure("perplexity", ".2f")(row), row.figures.get("perplexity")
    if figure is None or figure.low is None or figure.high is None:
        return value
    return f"{value} ±{(figure.high - figure.low) / 2:.2f}"


def _format_survival(row: "Row") -> str:
    return " ".join(f"{each.value:.2f}" for each in row.survival) or MISSING_TEXT


def _format_state(row: "Row") -> str:
    return row.cell.state


BYTES_PER_MB = 1e6
COLUMNS = {
    "emitted_per_second": Column("emitted", "/second", _format_speed),
    "speedup": Column("speed-up", "over plain", _figure_with_interval("speedup")),
    "tau": Column("tau", "/round", _plain_figure("tau", ".2f")),
    "alpha_cond": Column("alpha_cond", "/reached", _plain_figure("alpha_cond", ".3f")),
    "perplexity": Column("PPL", "", _format_perplexity),
    "ms_per_emitted": Column("TPOT", "ms", _plain_figure("ms_per_emitted", ".2f")),
    "ttft_ms": Column("TTFT", "ms", _plain_figure("ttft_ms", ".0f")),
    "tokens_per_target_forward": Column(
        "emitted", "/forward", _plain_figure("tokens_per_target_forward", ".2f")
    ),
    "state": Column("state", "", _format_state),
    "target_kv_bytes": Column(
        "target", "KV MB", _plain_figure("target_kv_bytes", ".2f", BYTES_PER_MB)
    ),
    "target_compressions": Column("target", "compr.", _plain_figure("target_compressions", ".0f")),
    "draft_kv_bytes": Column(
        "draft", "KV MB", _plain_figure("draft_kv_bytes", ".2f", BYTES_PER_MB)
    ),
    "draft_compressions": Column("draft", "compr.", _plain_figure("draft_compressions", ".0f")),
    "device_bytes": Column("device", "MB", _plain_figure("device_bytes", ".0f", BYTES_PER_MB)),
    "accept_frac": Column("accept_frac", "/drafted", _plain_figure("accept_frac", ".3f")),
    "rounds": Column("rounds", "", _plain_figure("rounds", ".0f")),
    "scored_per_second": Column("scored", "/second", _plain_figure("scored_per_second", ".0f")),
    "speedup_over_plain_steps": Column(
        "speed-up", "own cache", _figure_with_interval("speedup_over_plain_steps")
    ),
    "rss_bytes": Column("process", "MB", _plain_figure("rss_bytes", ".0f", BYTES_PER_MB)),
    "survival": Column("S_1 S_2 ..", "/drafted there", _format_survival),
}
"""Most relevant first: columns that don't fit are left out from the end."""
CACHE_COLUMNS = ("target_kv_bytes", "target_compressions", "draft_kv_bytes", "draft_compressions")
"""Columns that move before `AFTER_CACHE_COLUMNS` if a cache drops tokens: memory matters then."""
AFTER_CACHE_COLUMNS = "ms_per_emitted"


def show(
    paths: Sequence[Path],
    *,
    json: bool = False,
    csv_: bool = False,
    wide: bool = False,
    by_depth: bool = False,
) -> None:
    """Write the comparison of these captures and sweeps to stdout. Raises CaptureUnreadable."""
    from specprof.analysis.comparison import compare
    from specprof.analysis.sweep_cells import read_cells
    from specprof.capture import no_result_error
    from specprof.plain import plain

    found = compare(read_cells(paths))
    if json:
        sys.stdout.write(document(found))
    elif csv_:
        sys.stderr.writelines(f"{plain(line)}\n" for line in found.damage)
        _write_csv(found)
    else:
        _print([*found.damage, ""] if found.damage else [])
        _print(table(found, width=None if wide else TABLE_WIDTH))
        if by_depth:
            _print(depths(found))
        notes = found.notes + ([] if wide else _columns_left_out_note(found, TABLE_WIDTH))
        _print(["", *notes] if notes else [])
    if found.ruined:
        raise no_result_error(", ".join(map(str, paths)), found.damage[0])


def table(found: "Comparison", width: int | None) -> list[str]:
    """Return the table's lines, with the columns that have a figure and fit into `width`."""
    return align_columns(
        [["", "", *map(_short_label, found.rows)], *_fit_columns(found, width).values()]
    )


def depths(found: "Comparison") -> list[str]:
    """Return two tables, acceptance and perplexity: a row per cell, a column per context range."""
    lines = list[str]()
    for head, figure in (
        ("alpha_cond (accepted/reached) by context length", lambda one: one.alpha_cond),
        ("PPL by context length", lambda one: one.perplexity),
    ):
        lines += _depth_table(head, found.rows, figure)
    return lines


def document(found: "Comparison") -> str:
    """Return the comparison as one JSON document: every figure with its interval and count."""
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


def _fit_columns(found: "Comparison", width: int | None) -> dict[str, list[str]]:
    """Return the columns that fit beside the labels: name -> heads and texts."""
    labels, chosen = ["", "", *map(_short_label, found.rows)], dict[str, list[str]]()
    for name in _order_by_relevance(found.rows):
        column = COLUMNS[name]
        texts = [column.head, column.under, *map(column.text, found.rows)]
        if width is None or _grid_width([labels, *chosen.values(), texts]) <= width:
            chosen[name] = texts
    return chosen


def _columns_left_out_note(found: "Comparison", width: int) -> list[str]:
    """Return a note that names the columns that don't fit; nothing if all fit."""
    fitting = _fit_columns(found, width)
    others = [COLUMNS[name] for name in _order_by_relevance(found.rows) if name not in fitting]
    names = ", ".join(f"{each.head} {each.under}".rstrip() for each in others)
    return [f"more with specprof compare --wide: {names}"] if others else []


def _order_by_relevance(rows: "Sequence[Row]") -> list[str]:
    """Return the names of the columns that have a figure, the most relevant first."""
    names = [name for name in COLUMNS if _is_informative(name, rows)]
    evicting = any("compressions" in name for row in rows for name in row.figures)
    caches = [name for name in names if evicting and name in CACHE_COLUMNS]
    rest = [name for name in names if name not in caches]
    place = rest.index(AFTER_CACHE_COLUMNS) if AFTER_CACHE_COLUMNS in rest else len(rest)
    return [*rest[:place], *caches, *rest[place:]]


def _write_csv(found: "Comparison") -> None:
    """Write one row per cell, with three columns per figure; an empty field is not known."""
    from specprof.exporters.csv import escape_formula

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
        rows.writerow([escape_formula(cell.label), escape_formula(cell.spec.id), cell.state,
                       len(cell.captures), *figures])  # fmt: skip


def _depth_table(
    head: str, rows: "Sequence[Row]", figure: "Callable[[ByDepth], Figure | None]"
) -> list[str]:
    known = {
        _short_label(row): {one.low: found.value for one in row.by_depth if (found := figure(one))}
        for row in rows
    }
    edges = {one.low: one.high for row in rows for one in row.by_depth if figure(one)}
    shown = {label: at for label, at in known.items() if at}
    grid = [["up to", *shown]]
    for low, high in sorted(edges.items()):
        texts = [f"{at[low]:.2f}" if low in at else MISSING_TEXT for at in shown.values()]
        grid.append([f"{high:,}", *texts])
    return ["", head, *align_columns(grid, heads=1)] if shown else []


def _short_label(row: "Row") -> str:
    from specprof.plain import plain

    label = plain(row.cell.label)
    return label if len(label) <= MAX_LABEL_WIDTH else label[: MAX_LABEL_WIDTH - 1] + "…"


def _is_informative(name: str, rows: "Sequence[Row]") -> bool:
    """Return whether a column adds information; the states of complete runs add none."""
    if name == "state":
        return any(row.cell.state != "complete" for row in rows)
    if name == "tokens_per_target_forward":  # equal to tau: one forward a round, as usual
        return any(row.figures.get(name) != row.figures.get("tau") for row in rows)
    return any(name in row.figures or (name == "survival" and row.survival) for row in rows)


def _grid_width(grid: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) for column in grid) + len(COLUMN_GAP) * (len(grid) - 1)


def align_columns(grid: Sequence[Sequence[str]], heads: int = 2) -> list[str]:
    """Return columns of texts as aligned lines, the first one to the left, a rule below `heads`."""
    widths = [max(map(len, column)) for column in grid]
    lines = [
        COLUMN_GAP.join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in zip(*grid, strict=True)
    ]
    return [*lines[:heads], "─" * _grid_width(grid), *lines[heads:]]


def _print(lines: Sequence[str]) -> None:
    """Write lines to stdout with control characters escaped."""
    from rich.console import Console
    from rich.text import Text

    from specprof.plain import plain

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(Text(plain(line)))
