"""Acceptance by place in the draft: c_i of those reached, S_i of those drafted, with counts."""

import numpy as np

from specprof.tui.figures import rate, share, short_count
from specprof.tui.panels.sentences import NO_DRAFTS, no_rounds
from specprof.tui.sheet import Ink, Sheet
from specprof.tui.snapshot import Snapshot

_VALUES = 2 + 2 * 6 + 7  # index, two rates, the count
_NAMED = 14  # index, name, rate


def draw_draft_index(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel: two lines an index where there is room, else both rates on one."""
    if not snapshot.rounds:
        return sheet.sentence(no_rounds(snapshot))
    if not snapshot.depth:
        return sheet.sentence(NO_DRAFTS)
    if sheet.height > 2 * snapshot.depth:
        return _tall(sheet, _profile(snapshot))
    return _flat(sheet, _profile(snapshot))


def _tall(sheet: Sheet, profile: list[tuple[int, int, int]]) -> None:
    width = sheet.width - _NAMED - 8
    x = sheet.write(3, 0, "c_i/reached", "accepted")
    sheet.write(x + 2, 0, "S_i/drafted", "owed")
    sheet.right(sheet.width, 0, "of", "dim")
    for i, (reached, drafted, accepted) in enumerate(profile):
        row = 2 * i + 1
        sheet.right(2, row, str(i), "dim")
        sheet.write(3, row, "c_i", "accepted")
        sheet.write(3, row + 1, "S_i", "owed")
        _rate(sheet, 7, row, width, share(accepted, reached), ink="accepted")
        _rate(sheet, 7, row + 1, width, share(accepted, drafted), ink="owed")
        sheet.right(sheet.width, row, short_count(reached), "dim")
        sheet.right(sheet.width, row + 1, short_count(drafted), "dim")


def _flat(sheet: Sheet, profile: list[tuple[int, int, int]]) -> None:
    bar = max((sheet.width - _VALUES - 2) // 2, 2)
    first, second = 3, 3 + bar + 7
    sheet.write(0, 0, " i", "dim")
    sheet.write(first, 0, "c_i/reached", "accepted")
    sheet.write(second, 0, "S_i/drafted", "owed")
    sheet.right(sheet.width, 0, "reached", "dim")
    shown = len(profile) if len(profile) < sheet.height else max(sheet.height - 2, 0)
    if shown < len(profile):
        sheet.write(0, sheet.height - 1, f"… {len(profile) - shown} deeper; m makes room", "dim")
    for i, (reached, drafted, accepted) in enumerate(profile[:shown]):
        row = i + 1
        sheet.right(2, row, str(i), "dim")
        _rate(sheet, first, row, bar, share(accepted, reached), ink="accepted")
        _rate(sheet, second, row, bar, share(accepted, drafted), ink="owed")
        sheet.right(sheet.width, row, short_count(reached), "dim")


def _rate(sheet: Sheet, x: int, row: int, width: int, value: float | None, *, ink: Ink) -> None:
    sheet.write(x, row, "·" * width, "dim")
    sheet.bar(x, row, width, value or 0.0, ink)
    sheet.write(x + width + 1, row, rate(value))


def _profile(snapshot: Snapshot) -> list[tuple[int, int, int]]:
    """Return rounds that reached, drafted and passed each draft index, a level in a tree."""
    columns, depth = snapshot.columns, snapshot.depth
    levels = columns.places.levels()
    reached = np.bincount(levels.index, minlength=depth)
    accepted = np.bincount(levels.index[levels.accepted], minlength=depth)
    return [(int(reached[i]), columns.drafted_at(i), int(accepted[i])) for i in range(depth)]
