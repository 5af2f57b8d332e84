"""Memory in bytes: both key-value caches against context, the device and the host."""

import numpy as np

from specprof.analysis.tables import Ints
from specprof.tui.figures import short_count, size
from specprof.tui.panels.sentences import NO_BYTES, NO_ROUNDS
from specprof.tui.sheet import Ink, Sheet
from specprof.tui.snapshot import Snapshot
from specprof.tui.widgets.braille import Floats, draw_axes

_MIN_PLOT_ROWS = 5
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))


def draw_memory(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    columns = snapshot.columns
    if not any(map(len, (columns.rounds, columns.passes, columns.samples))):
        return sheet.write_sentence(NO_ROUNDS)
    readings = [
        (name, values, ink) for name, values, ink in _readings(snapshot) if _is_known(values)
    ]
    if not readings:
        return sheet.write_sentence(NO_BYTES)
    sheet.write_right(sheet.width - 11, 0, "now", "dim")
    sheet.write_right(sheet.width, 0, "peak", "dim")
    for row, (name, values, ink) in enumerate(readings, start=1):
        known = values[~np.isnan(values)]
        sheet.write(0, row, name, ink)
        sheet.write_right(sheet.width - 11, row, size(float(known[-1])))
        sheet.write_right(sheet.width, row, size(float(known.max())), "dim")
    used = len(readings) + 1
    used += _write_dropped(sheet, used, snapshot)
    if sheet.height - used >= _MIN_PLOT_ROWS:
        _plot_kv(sheet, snapshot, used)
    return None


def _readings(snapshot: Snapshot) -> list[tuple[str, Floats, Ink]]:
    samples, (_, target, draft) = snapshot.columns.samples, _kv_bytes(snapshot)
    return [
        ("target KV", target, "target"),
        ("draft KV", draft, "draft"),
        ("device used", samples.memory_used_bytes, "plain"),
        ("allocated", samples.allocated_bytes, "plain"),
        ("reserved", samples.reserved_bytes, "plain"),
        ("host resident", samples.rss_bytes, "plain"),
    ]


def _kv_bytes(snapshot: Snapshot) -> tuple[Ints, Floats, Floats]:
    """Return contexts and the bytes of target and draft cache there, of rounds or of passes."""
    rounds, passes = snapshot.columns.rounds, snapshot.columns.passes
    if len(passes):
        return passes.context, passes.target_kv_bytes, np.full(len(passes), np.nan)
    return rounds.context, rounds.target_kv_bytes, rounds.draft_kv_bytes


def _write_dropped(sheet: Sheet, top: int, snapshot: Snapshot) -> int:
    """Write the most tokens that each cache dropped; return the number of rows used."""
    columns, header, row = snapshot.columns, snapshot.columns.header, top
    block = header.spec.settings.block if header else 1
    for name, values in (
        ("target", np.append(columns.rounds.target_evicted, columns.passes.target_evicted)),
        ("draft", columns.rounds.draft_evicted),
    ):
        if _is_known(values):
            tokens = float(np.nanmax(values))
            text = f"{short_count(tokens)} dropped, {short_count(tokens // block)} cuts"
            sheet.write(0, row, f"{name} KV ", "target" if name == "target" else "draft")
            sheet.write_right(sheet.width, row, text, "dim")
            row += 1
    return row - top


def _is_known(values: Floats) -> bool:
    return bool(len(values)) and not bool(np.isnan(values).all())


def _plot_kv(sheet: Sheet, snapshot: Snapshot, top: int) -> None:
    """Plot both caches' bytes against context; contexts may be in any order."""
    context, target, draft = _kv_bytes(snapshot)
    if not _is_known(target):
        return
    order = np.argsort(context, kind="stable")
    contexts = context[order].astype(np.float64)
    most = float(np.nanmax(target)) or 1.0
    if _is_known(draft):
        most = max(most, float(np.nanmax(draft)))
    unit, name = next((unit, name) for unit, name in _UNITS if most >= unit)
    plot = draw_axes(
        sheet, top, sheet.height - top, (0.0, max(float(contexts[-1]), 1.0)), (0.0, most / unit),
        x_text=short_count, y_text="{:g}".format, x_name="context",
    )  # fmt: skip
    plot.line(contexts, target[order] / unit, "target")
    plot.line(contexts, draft[order] / unit, "draft")
    plot.show()
    sheet.write(plot.x, top, name, "dim")
