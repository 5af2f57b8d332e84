"""Which panels fit into the terminal, and in which rows.

Knows sizes and panel numbers; nothing of widgets.
"""

MIN_WIDTH_FOR_THREE, MIN_WIDTH_FOR_TWO = 110, 70
"""Terminal columns from which three, or two, panels stand side by side."""
MIN_PANEL_ROWS = 9
"""Fewest terminal rows for a row of panels, borders included."""
PRIORITY = (1, 2, 5, 3, 7, 6, 4)
"""Panel numbers in the order in which they get room."""


def rows_of(wanted: list[int], width: int, height: int) -> list[list[int]]:
    """Return the panels to show, row by row: the first of `wanted` that fit, in ascending order."""
    across = 3 if width >= MIN_WIDTH_FOR_THREE else 2 if width >= MIN_WIDTH_FOR_TWO else 1
    down = max(1, height // MIN_PANEL_ROWS)
    shown = sorted(wanted[: across * down])
    return _divide(shown, min(down, -(-len(shown) // across))) if shown else []


def _divide(panels: list[int], rows: int) -> list[list[int]]:
    """Divide panels into rows of nearly equal length; middle rows take the extra panels."""
    least, over = divmod(len(panels), rows)
    order = sorted(range(rows), key=lambda row: abs(2 * row - rows + 1))
    lengths = [least] * rows
    for row in order[:over]:
        lengths[row] += 1
    starts = [sum(lengths[:row]) for row in range(rows)]
    return [panels[start : start + length] for start, length in zip(starts, lengths, strict=True)]
