"""Bytes: both key-value caches against context, the device's and the host's memory."""

import numpy as np

from specprof.tui.figures import short_count, size
from specprof.tui.panels.sentences import NO_BYTES, NO_ROUNDS
from specprof.tui.sheet import Ink, Sheet
from specprof.tui.snapshot import Snapshot
from specprof.tui.widgets.braille import Floats, framed

_PLOT_ROWS = 5
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))


def draw_memory(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    if not snapshot.rounds and not len(snapshot.columns.samples):
        return sheet.sentence(NO_ROUNDS)
    readings = [(name, values, ink) for name, values, ink in _readings(snapshot) if _known(values)]
    if not readings:
        return sheet.sentence(NO_BYTES)
    sheet.right(sheet.width - 11, 0, "now", "dim")
    sheet.right(sheet.width, 0, "most", "dim")
    for row, (name, values, ink) in enumerate(readings, start=1):
        known = values[~np.isnan(values)]
        sheet.write(0, row, name, ink)
        sheet.right(sheet.width - 11, row, size(float(known[-1])))
        sheet.right(sheet.width, row, size(float(known.max())), "dim")
    used = len(readings) + 1
    if sheet.height - used >= _PLOT_ROWS:
        _kv_plot(sheet, snapshot, used)
    return None


def _readings(snapshot: Snapshot) -> list[tuple[str, Floats, Ink]]:
    rounds, samples = snapshot.columns.rounds, snapshot.columns.samples
    return [
        ("target KV", rounds.target_kv_bytes, "target"),
        ("draft KV", rounds.draft_kv_bytes, "draft"),
        ("device used", samples.memory_used_bytes, "plain"),
        ("allocated", samples.allocated_bytes, "plain"),
        ("reserved", samples.reserved_bytes, "plain"),
        ("host resident", samples.rss_bytes, "plain"),
    ]


def _known(values: Floats) -> bool:
    return bool(len(values)) and not bool(np.isnan(values).all())


def _kv_plot(sheet: Sheet, snapshot: Snapshot, top: int) -> None:
    """Plot both caches' bytes against context; contexts may come in any order."""
    rounds = snapshot.columns.rounds
    if not _known(rounds.target_kv_bytes):
        return
    order = np.argsort(rounds.context, kind="stable")
    contexts = rounds.context[order].astype(np.float64)
    most = float(np.nanmax(rounds.target_kv_bytes)) or 1.0
    if _known(rounds.draft_kv_bytes):
        most = max(most, float(np.nanmax(rounds.draft_kv_bytes)))
    unit, name = next((unit, name) for unit, name in _UNITS if most >= unit)
    plot = framed(
        sheet, top, sheet.height - top, (0.0, max(float(contexts[-1]), 1.0)), (0.0, most / unit),
        x_text=short_count, y_text="{:g}".format, x_name="context",
    )  # fmt: skip
    plot.line(contexts, rounds.target_kv_bytes[order] / unit, "target")
    plot.line(contexts, rounds.draft_kv_bytes[order] / unit, "draft")
    plot.show()
    sheet.write(plot.x, top, name, "dim")
