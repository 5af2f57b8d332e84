"""Which panels a terminal has room for, and in what rows they stand.

Knows sizes and panel numbers; nothing of widgets.
"""

WIDE, MEDIUM = 110, 70
"""Columns from which three and two panels stand side by side."""
ROW_HEIGHT = 9
"""Fewest terminal rows worth a row of panels, borders included."""
PRIORITY = (1, 2, 5, 3, 7, 6, 4)
"""The panels shown at first, as many as fit."""


def rows_of(wanted: list[int], width: int, height: int) -> list[list[int]]:
    """Return the panels to show, row by row, ascending: the first of `wanted` that fit."""
    across = 3 if width >= WIDE else 2 if width >= MEDIUM else 1
    down = max(1, height // ROW_HEIGHT)
    shown = sorted(wanted[: across * down])
    return _divided(shown, min(down, -(-len(shown) // across))) if shown else []


def _divided(panels: list[int], rows: int) -> list[list[int]]:
    """Divide into rows of nearly equal length; a middle row takes what is over."""
    least, over = divmod(len(panels), rows)
    order = sorted(range(rows), key=lambda row: abs(2 * row - rows + 1))
    lengths = [least] * rows
    for row in order[:over]:
        lengths[row] += 1
    starts = [sum(lengths[:row]) for row in range(rows)]
    return [panels[start : start + length] for start, length in zip(starts, lengths, strict=True)]
