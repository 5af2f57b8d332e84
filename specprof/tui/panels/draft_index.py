"""Acceptance by place in the draft: c_i of those reached, S_i of those drafted, with their counts."""

import numpy as np

from specprof.tui.figures import rate, share, short_count
from specprof.tui.panels.sentences import NO_DRAFTS, NO_ROUNDS
from specprof.tui.sheet import Ink, Sheet
from specprof.tui.snapshot import Snapshot

_VALUES = 2 + 2 * 6 + 7  # index, two rates, the count


def draw_draft_index(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    if not snapshot.rounds:
        return sheet.sentence(NO_ROUNDS)
    if not snapshot.depth:
        return sheet.sentence(NO_DRAFTS)
    bar = max((sheet.width - _VALUES - 2) // 2, 2)
    first, second = 3, 3 + bar + 7
    sheet.write(0, 0, " i", "dim")
    sheet.write(first, 0, "c_i acc/reached"[: bar + 5], "accepted")
    sheet.write(second, 0, "S_i acc/drafted"[: bar + 5], "owed")
    sheet.right(sheet.width, 0, "reached", "dim")
    shown = min(snapshot.depth, sheet.height - 1)
    if shown < snapshot.depth:
        shown -= 1
        sheet.write(0, sheet.height - 1, f"… {snapshot.depth - shown} deeper; make room with m", "dim")
    for i, (reached, drafted, accepted) in enumerate(_profile(snapshot)[: max(shown, 0)]):
        row = i + 1
        sheet.right(2, row, str(i + 1), "dim")
        _rate(sheet, first, row, bar, share(accepted, reached), "accepted")
        _rate(sheet, second, row, bar, share(accepted, drafted), "owed")
        sheet.right(sheet.width, row, short_count(reached), "dim")
    return None


def _rate(sheet: Sheet, x: int, row: int, width: int, value: float | None, ink: Ink) -> None:
    sheet.write(x, row, "·" * width, "dim")
    sheet.bar(x, row, width, value or 0.0, ink)
    sheet.write(x + width + 1, row, rate(value))


def _profile(snapshot: Snapshot) -> list[tuple[int, int, int]]:
    """Return reached, drafted and accepted at each draft index, all of them counts."""
    columns, depth = snapshot.columns, snapshot.depth
    reached = np.bincount(columns.places.index, minlength=depth)
    accepted = np.bincount(columns.places.index[columns.places.accepted], minlength=depth)
    return [
        (int(reached[i]), columns.drafted_at(i), int(accepted[i])) for i in range(depth)
    ]
