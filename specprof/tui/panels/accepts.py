"""Accepted drafts per round: a line over the whole run, bars for the last rounds, a table."""

import numpy as np

from specprof.tui.figures import percent, share, short_count
from specprof.tui.panels.sentences import NO_DRAFTS, explain_no_rounds
from specprof.tui.sheet import EIGHTHS_UP, Ink, Sheet, ink_number
from specprof.tui.snapshot import Snapshot
from specprof.tui.widgets.braille import Floats, draw_axes

_MIN_WIDTH_WITH_COUNTS, _MIN_HEIGHT_WITH_PLOT = 44, 8
_COUNTS_WIDTH = 22
_MAX_WINDOW_ROUNDS = 64


def draw_accepts(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    if not snapshot.rounds:
        return sheet.write_sentence(explain_no_rounds(snapshot))
    if not snapshot.depth:
        return sheet.write_sentence(NO_DRAFTS)
    counts_width = (
        max(_COUNTS_WIDTH, sheet.width // 4) if sheet.width >= _MIN_WIDTH_WITH_COUNTS else 0
    )
    if counts_width:
        _list_counts(sheet, snapshot, sheet.width - counts_width + 1)
    part = Sheet(sheet.width - counts_width, sheet.height)
    plot_height = 0
    if sheet.height >= _MIN_HEIGHT_WITH_PLOT:
        plot_height = (sheet.height + 3) // 2
        _plot_whole_run(part, snapshot, plot_height)
    _draw_last_rounds(part, snapshot, plot_height)
    sheet.fill(0, 0, part.glyphs, part.inks)
    return None


def _plot_whole_run(sheet: Sheet, snapshot: Snapshot, height: int) -> None:
    """Plot accepted drafts per round over the whole run, smoothed over a window of rounds."""
    table = snapshot.columns.rounds
    window = max(1, min(_MAX_WINDOW_ROUNDS, len(table) // 8))
    smooth = _running_mean(table.accepted.astype(np.float64), window)
    plot = draw_axes(
        sheet, 0, height, (0.0, float(max(len(table) - 1, 1))), (0.0, float(snapshot.depth)),
        x_text=short_count, y_text="{:.0f}".format,
        x_name=f"accepted/round, mean of {window}",
    )  # fmt: skip
    plot.line(np.arange(len(smooth), dtype=np.float64) + window - 1, smooth, "accepted")
    plot.show()


def _running_mean(values: Floats, window: int) -> Floats:
    total = np.cumsum(np.concatenate(([0.0], values)))
    mean: Floats = (total[window:] - total[:-window]) / window
    return mean


def _draw_last_rounds(sheet: Sheet, snapshot: Snapshot, top: int) -> None:
    """Draw one bar per round, newest at the right; a round that accepted nothing is a cross."""
    table, depth = snapshot.columns.rounds, snapshot.depth
    x, height = 2, sheet.height - top
    accepted = table.accepted[-(sheet.width - x) :]
    levels = table.levels[-(sheet.width - x) :]
    eighths = np.rint(accepted / depth * 8 * height).astype(np.int64)
    below = 8 * np.arange(height - 1, -1, -1)[:, None]
    glyphs = np.array(list(EIGHTHS_UP))[np.clip(eighths - below, 0, 8)]
    glyphs[-1, accepted == 0] = "×"
    inks = np.select(
        [accepted == 0, accepted == levels],
        [ink_number("rejected"), ink_number("bonus")],
        ink_number("accepted"),
    ).astype(np.uint8)
    sheet.fill(x, top, glyphs, np.tile(inks, (height, 1)))
    sheet.write(0, top, str(depth), "dim")
    sheet.write(0, sheet.height - 1, "0", "dim")


def _list_counts(sheet: Sheet, snapshot: Snapshot, x: int) -> None:
    """List the shares of rounds that accepted 0, 1 ... K drafts."""
    table, depth = snapshot.columns.rounds, snapshot.depth
    counts = np.bincount(np.clip(table.accepted, 0, depth), minlength=depth + 1)
    width = sheet.width - x
    sheet.write(x, 0, "acc", "dim")
    sheet.write_right(x + width, 0, "of rounds", "dim")
    for row, accepted in enumerate(_fit_counts(depth, sheet.height - 1), start=1):
        part = share(counts[accepted], len(table)) or 0.0
        ink: Ink = "rejected" if not accepted else "bonus" if accepted == depth else "accepted"
        sheet.write_right(x + 2, row, str(accepted), "dim")
        sheet.draw_bar(x + 3, row, width - 11, part, ink)
        sheet.write_right(x + width, row, percent(part))


def _fit_counts(depth: int, rows: int) -> list[int]:
    """Return the numbers of accepted drafts that fit, K first; large numbers are left out first."""
    return list(range(depth, -1, -1))[-max(rows, 0) :] if rows > 0 else []
