"""Plots of braille dots on a sheet: eight dots a cell; a column always shows its extremes.

Knows numbers and dots; nothing of captures. numpy does all work per point: 20,000 points on
200 x 50 cells cost a few milliseconds (tests/tui/widgets/test_braille.py holds it to 10).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from specprof.tui.sheet import Glyphs, Ink, Sheet, ink_number

Floats = NDArray[np.float64]
Dots = NDArray[np.bool_]
# Unicode numbers the dots of a cell by columns, with the fourth row added later.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
_MIN_TICKS = 2


def extremes(
    xs: Floats, ys: Floats, low: float, high: float, columns: int
) -> tuple[Floats, Floats]:
    """Return the least and the greatest y of each column, [columns] each; nan for empty columns.

    `xs` ascend; column c holds low + c*w <= x < low + (c+1)*w (the last one x <= high as well),
    where w is (high - low) / columns.
    """
    least, greatest = np.full(columns, np.nan), np.full(columns, np.nan)
    inside = (xs >= low) & (xs <= high) & ~np.isnan(ys)
    xs, ys = xs[inside], ys[inside]
    if not len(xs):
        return least, greatest
    width = (high - low) / columns or 1.0
    column = np.minimum(((xs - low) / width).astype(np.int64), columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    least[column[starts]] = np.minimum.reduceat(ys, starts)
    greatest[column[starts]] = np.maximum.reduceat(ys, starts)
    return least, greatest


def glyphs_of(bits: NDArray[np.uint8]) -> Glyphs:
    """Return the braille character of each cell, [rows, columns]."""
    return (bits.astype(np.uint32) + 0x2800).view("<U1")


def pack_dots(dots: Dots) -> NDArray[np.uint8]:
    """Pack dots, [4 x rows, 2 x columns], into one byte a cell, [rows, columns]."""
    rows, columns = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(rows, 4, columns, 2) * _BITS[None, :, None, :]
    packed_cells: NDArray[np.uint8] = cells.sum(axis=(1, 3), dtype=np.uint8)
    return packed_cells


def ticks(low: float, high: float, at_most: int) -> list[float]:
    """Return about `at_most` round values within [low, high], in steps of 1, 2 or 5 x 10^n."""
    if high <= low:
        return [low]
    rough = (high - low) / max(at_most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(slots=True)
class Plot:
    """A plotting area of a sheet, inside its axes; later lines cover earlier lines."""

    sheet: Sheet
    x: int
    y: int
    width: int
    """Width of the dots in cells, without the axes."""
    height: int
    xs: tuple[float, float]
    ys: tuple[float, float]
    _bits: NDArray[np.uint8] = field(init=False)
    _inks: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        shape = max(self.height, 0), max(self.width, 0)
        self._bits = np.zeros(shape, np.uint8)
        self._inks = np.zeros(shape, np.uint8)

    def line(self, xs: Floats, ys: Floats, ink: Ink) -> None:
        """Draw y over x: columns with many points show their extremes, gaps are interpolated."""
        columns = 2 * self.width
        least, greatest = extremes(xs, ys, *self.xs, columns)
        seen = np.flatnonzero(~np.isnan(least))
        if not len(seen):
            return
        at = np.arange(seen[0], seen[-1] + 1)
        low, high = np.interp(at, seen, least[seen]), np.interp(at, seen, greatest[seen])
        # Neighbouring columns meet half-way, so that a steep line has no gaps.
        middle = (low[1:] + low[:-1] + high[1:] + high[:-1]) / 4
        low[1:], low[:-1] = np.minimum(low[1:], middle), np.minimum(low[:-1], middle)
        high[1:], high[:-1] = np.maximum(high[1:], middle), np.maximum(high[:-1], middle)
        self._set_dots(at, low, high, ink)

    def band(self, xs: Floats, low: Floats, high: Floats, ink: Ink) -> None:
        """Shade between two curves, [n] each, with every second dot."""
        known = ~(np.isnan(low) | np.isnan(high))
        if not known.any():
            return
        xs, low, high = xs[known], low[known], high[known]
        first, last = self._column(xs[0]), self._column(xs[-1])
        at = np.arange(max(first, 0), min(last, 2 * self.width - 1) + 1)
        centres = self.xs[0] + (at + 0.5) * (self.xs[1] - self.xs[0]) / (2 * self.width)
        self._set_dots(
            at, np.interp(centres, xs, low), np.interp(centres, xs, high), ink, sparse=True
        )

    def mark(self, x: float, label: str, ink: Ink = "mark") -> None:
        """Draw a dashed vertical line at x with a label at its top."""
        column = self._column(x) // 2
        if not 0 <= column < self.width:
            return
        self.show()
        for row in range(self.height):
            if not self._bits[row, column]:
                self.sheet.write(self.x + column, self.y + row, "┆", ink)
        room = self.width - column - 1
        at = self.x + column + 1 if room >= len(label) else self.x + column - len(label)
        if at >= self.x:
            self.sheet.write(at, self.y, label, ink)

    def show(self) -> None:
        """Put the dots drawn so far on the sheet."""
        if self._bits.size:
            glyphs = np.where(self._bits > 0, glyphs_of(self._bits), " ")
            self.sheet.fill(self.x, self.y, glyphs, self._inks)

    def _column(self, x: float) -> int:
        if x == self.xs[1]:  # the right edge belongs to the last column
            return 2 * self.width - 1
        span = self.xs[1] - self.xs[0] or 1.0
        return math.floor((x - self.xs[0]) / span * 2 * self.width)

    def _set_dots(
        self, at: NDArray[np.int64], low: Floats, high: Floats, ink: Ink, *, sparse: bool = False
    ) -> None:
        if not self._bits.size:
            return
        rows = 4 * self.height
        span = self.ys[1] - self.ys[0] or 1.0  # a divisor only: it may be tiny
        top = np.rint((self.ys[1] - high) / span * (rows - 1))
        bottom = np.rint((self.ys[1] - low) / span * (rows - 1))
        row = np.arange(rows)[:, None]
        dots = np.zeros((rows, 2 * self.width), np.bool_)
        dots[:, at] = (row >= top) & (row <= bottom)
        if sparse:
            dots &= (row + np.arange(2 * self.width)) % 2 == 0
        bits = pack_dots(dots)
        self._bits |= bits
        self._inks[bits > 0] = ink_number(ink)


def draw_axes(
    sheet: Sheet,
    top: int,
    height: int,
    xs: tuple[float, float],
    ys: tuple[float, float],
    *,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    x_name: str = "",
) -> Plot:
    """Draw axes in rows `top` to `top + height` of a sheet; return the plot inside them."""
    inside = max(height - 2, 1)
    y_ticks = ticks(*ys, max(_MIN_TICKS, inside // 3))
    margin = max(len(y_text(tick)) for tick in y_ticks)
    plot = Plot(sheet, margin + 1, top, max(sheet.width - margin - 1, 1), inside, xs, ys)
    _y_axis(plot, y_ticks, y_text)
    if height > inside:
        _x_axis(plot, x_text, x_name)
    return plot


def _y_axis(plot: Plot, y_ticks: list[float], text: Callable[[float], str]) -> None:
    span = plot.ys[1] - plot.ys[0] or 1.0
    for row in range(plot.height):
        plot.sheet.write(plot.x - 1, plot.y + row, "│", "dim")
    for tick in y_ticks:
        row = plot.y + int(
            min(round((plot.ys[1] - tick) / span * (4 * plot.height - 1)) // 4, plot.height - 1)
        )
        plot.sheet.write_right(plot.x - 1, row, text(tick), "dim")
        plot.sheet.write(plot.x - 1, row, "┤", "dim")


def _x_axis(plot: Plot, text: Callable[[float], str], name: str) -> None:
    """Draw the axis, its ticks, and its name if the ticks leave room."""
    row, span = plot.y + plot.height, plot.xs[1] - plot.xs[0] or 1.0
    plot.sheet.write(plot.x - 1, row, "└" + "─" * plot.width, "dim")
    free, end = plot.x, plot.x + plot.width
    for tick in ticks(*plot.xs, max(_MIN_TICKS, plot.width // 12)):
        at = plot.x + int((tick - plot.xs[0]) / span * (plot.width - 1))
        label = text(tick)
        start = max(plot.x, min(at - len(label) // 2, end - len(label)))
        if start < free or not label:
            continue
        plot.sheet.write(at, row, "┴", "dim")
        free = plot.sheet.write(start, row + 1, label, "dim") + 1
    if end - len(name) > free:
        plot.sheet.write_right(end, row + 1, name, "dim")
