"""Acceptance by draft index: c_i per draft reached, S_i per draft drafted, with counts."""

import numpy as np

from specprof.tui.figures import rate, share, short_count
from specprof.tui.panels.sentences import NO_DRAFTS, explain_no_rounds
from specprof.tui.sheet import Ink, Sheet
from specprof.tui.snapshot import Snapshot

_RATES_CELLS = 2 + 2 * 6 + 7  # index, two rates, the count
_NAME_CELLS = 14  # index, name, rate


def draw_draft_index(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel: two lines per index where there is room, else both rates on one line."""
    if not snapshot.rounds:
        return sheet.write_sentence(explain_no_rounds(snapshot))
    if not snapshot.depth:
        return sheet.write_sentence(NO_DRAFTS)
    if sheet.height > 2 * snapshot.depth:
        return _draw_tall(sheet, _count_by_index(snapshot))
    return _draw_flat(sheet, _count_by_index(snapshot))


def _draw_tall(sheet: Sheet, profile: list[tuple[int, int, int]]) -> None:
    width = sheet.width - _NAME_CELLS - 8
    x = sheet.write(3, 0, "c_i/reached", "accepted")
    sheet.write(x + 2, 0, "S_i/drafted", "owed")
    sheet.write_right(sheet.width, 0, "of", "dim")
    for i, (reached, drafted, accepted) in enumerate(profile):
        row = 2 * i + 1
        sheet.write_right(2, row, str(i), "dim")
        sheet.write(3, row, "c_i", "accepted")
        sheet.write(3, row + 1, "S_i", "owed")
        _draw_rate(sheet, 7, row, width, share(accepted, reached), ink="accepted")
        _draw_rate(sheet, 7, row + 1, width, share(accepted, drafted), ink="owed")
        sheet.write_right(sheet.width, row, short_count(reached), "dim")
        sheet.write_right(sheet.width, row + 1, short_count(drafted), "dim")


def _draw_flat(sheet: Sheet, profile: list[tuple[int, int, int]]) -> None:
    bar = max((sheet.width - _RATES_CELLS - 2) // 2, 2)
    first, second = 3, 3 + bar + 7
    sheet.write(0, 0, " i", "dim")
    sheet.write(first, 0, "c_i/reached", "accepted")
    sheet.write(second, 0, "S_i/drafted", "owed")
    sheet.write_right(sheet.width, 0, "reached", "dim")
    shown = len(profile) if len(profile) < sheet.height else max(sheet.height - 2, 0)
    if shown < len(profile):
        sheet.write(0, sheet.height - 1, f"… {len(profile) - shown} deeper; m maximises", "dim")
    for i, (reached, drafted, accepted) in enumerate(profile[:shown]):
        row = i + 1
        sheet.write_right(2, row, str(i), "dim")
        _draw_rate(sheet, first, row, bar, share(accepted, reached), ink="accepted")
        _draw_rate(sheet, second, row, bar, share(accepted, drafted), ink="owed")
        sheet.write_right(sheet.width, row, short_count(reached), "dim")


def _draw_rate(
    sheet: Sheet, x: int, row: int, width: int, value: float | None, *, ink: Ink
) -> None:
    sheet.write(x, row, "·" * width, "dim")
    sheet.draw_bar(x, row, width, value or 0.0, ink)
    sheet.write(x + width + 1, row, rate(value))


def _count_by_index(snapshot: Snapshot) -> list[tuple[int, int, int]]:
    """Return (reached, drafted, accepted) drafts at each draft index, in a tree at each level."""
    columns, depth = snapshot.columns, snapshot.depth
    levels = columns.places.levels()
    reached = np.bincount(levels.index, minlength=depth)
    accepted = np.bincount(levels.index[levels.accepted], minlength=depth)
    return [(int(reached[i]), columns.drafted_at(i), int(accepted[i])) for i in range(depth)]
