"""Braille plots: nothing extreme is lost, nothing leaves its place, and they are cheap."""

import statistics
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from specprof.tui.sheet import Sheet
from specprof.tui.widgets.braille import Plot, draw_axes, extremes, glyphs_of, pack_dots, ticks

BUDGET_S = 0.010

values = st.floats(-1e6, 1e6)


@given(arrays(float, st.integers(1, 400), elements=values), st.integers(1, 90))
def test_decimation_keeps_every_columns_extremes(ys, columns):
    """Each column's least and greatest value are those a plain loop over its points finds."""
    xs = np.linspace(0.0, 1.0, len(ys))
    least, greatest = extremes(xs, ys, 0.0, 1.0, columns)
    slots = [[] for _ in range(columns)]
    for x, y in zip(xs, ys, strict=True):
        slots[min(int(x / (1.0 / columns)), columns - 1)].append(y)
    for slot, low, high in zip(slots, least, greatest, strict=True):
        assert (min(slot), max(slot)) == (low, high) if slot else np.isnan(low)


@given(arrays(float, st.integers(2, 300), elements=values))
@example(np.array([2.2e-311, 0.0]))
def test_the_whole_ranges_extremes_light_the_top_and_the_bottom_row(ys):
    """However many points share a column, the greatest touches the top and the least the floor."""
    low, high = float(ys.min()), float(ys.max())
    if low == high:
        return
    sheet = Sheet(20, 6)
    plot = Plot(sheet, 0, 0, 20, 6, (0.0, 1.0), (low, high))
    plot.line(np.linspace(0.0, 1.0, len(ys)), ys, "plain")
    plot.show()
    lines = sheet.lines()
    assert lines[0].strip()
    assert lines[-1].strip()


def test_nan_is_left_out_and_nothing_known_draws_nothing():
    """Unknown values leave a gap to bridge, and alone they leave the plot empty."""
    xs = np.arange(5.0)
    least, _ = extremes(xs, np.array([1, np.nan, 3, np.nan, 5]), 0, 4, 5)
    assert np.isnan(least[[1, 3]]).all()
    sheet = Sheet(10, 4)
    plot = Plot(sheet, 0, 0, 10, 4, (0.0, 4.0), (0.0, 1.0))
    plot.line(xs, np.full(5, np.nan), "plain")
    plot.band(xs, np.full(5, np.nan), np.full(5, np.nan), "band")
    plot.show()
    assert not "".join(sheet.lines()).strip()


def test_a_line_has_no_holes():
    """A line over few points lights every column between the first and the last."""
    sheet = Sheet(30, 8)
    plot = Plot(sheet, 0, 0, 30, 8, (0.0, 1.0), (0.0, 1.0))
    plot.line(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 0.0]), "plain")
    plot.show()
    columns = (sheet.glyphs != " ").any(axis=0)
    assert columns.all()


def test_a_mark_outside_the_plot_is_not_drawn():
    """A trained context beyond the data has no place on the axis."""
    sheet = Sheet(20, 4)
    plot = Plot(sheet, 0, 0, 20, 4, (0.0, 100.0), (0.0, 1.0))
    plot.mark(200.0, "far")
    assert not "".join(sheet.lines()).strip()
    plot.mark(50.0, "here")
    assert "here" in sheet.lines()[0]


@pytest.mark.parametrize("dot", range(8))
def test_dots_are_where_unicode_puts_them(dot):
    """Each of the eight dots of a cell sets the bit the Braille Patterns block gives it."""
    row, column = dot // 2, dot % 2
    dots = np.zeros((4, 2), bool)
    dots[row, column] = True
    bit = [[0, 3], [1, 4], [2, 5], [6, 7]][row][column]
    assert glyphs_of(pack_dots(dots))[0, 0] == chr(0x2800 + (1 << bit))


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 12))
def test_ticks_lie_inside_and_are_evenly_apart(low, span, at_most):
    """Ticks are round, in range up to rounding, and not many more than asked for."""
    found = ticks(low, low + span, at_most)
    assert len(found) <= at_most + 1
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)


def test_axes_carry_labels_that_fit():
    """The y labels end before the axis, the x labels within the sheet."""
    sheet = Sheet(40, 10)
    draw_axes(
        sheet, 0, 10, (0.0, 20_000.0), (0.0, 1.0), x_text="{:.0f}".format, y_text="{:.1f}".format
    )
    lines = sheet.lines()
    assert lines[0].startswith("1.0┤")
    assert lines[-1].split()[0] == "0"
    assert max(map(len, lines)) <= 40


def test_twenty_thousand_points_cost_little():
    """A full update of a 200 x 50 plot with 20,000 points stays within its budget.

    Median processor time of 15; the bound is doubled for slow machines, the goal is BUDGET_S.
    """
    xs = np.arange(20_000.0)
    ys = np.random.default_rng(1).random(20_000)

    def update():
        sheet = Sheet(200, 50)
        plot = draw_axes(
            sheet, 0, 50, (0.0, 20_000.0), (0.0, 1.0), x_text=str, y_text="{:.1f}".format
        )
        plot.line(xs, ys, "accepted")
        plot.show()

    update()
    spent = []
    for _ in range(15):
        started = time.process_time()
        update()
        spent.append(time.process_time() - started)
    assert statistics.median(spent) < 2 * BUDGET_S
