"""A cell is read to its last digit, or not at all."""

import pytest

from specprof.published.read.cells import read_cell


@pytest.mark.parametrize(
    ("text", "value", "half", "unit"),
    [
        ("0.412", 0.412, 0.0005, None),
        ("**2.920**", 2.92, 0.0005, None),
        ("`1.87x`", 1.87, 0.005, "x"),
        ("64.5%", 64.5, 0.05, "%"),
        ("12.3 ms", 12.3, 0.05, "ms"),
        ("1,234.5 tok/s", 1234.5, 0.05, "tok/s"),
        ("13,311", 13311, 0.5, None),
        ("0,71", 0.71, 0.005, None),
        ("1.20e-3", 0.0012, 0.000005, None),
        (".805", 0.805, 0.0005, None),
        ("20k", 20, 0.5, "k"),
    ],
)
def test_a_number_keeps_the_interval_its_digits_leave(text, value, half, unit):
    """Half a unit of the last digit either way."""
    cell = read_cell(text)
    assert cell.figure.value == pytest.approx(value)
    assert cell.figure.high - cell.figure.value == pytest.approx(half)
    assert cell.unit == unit


@pytest.mark.parametrize(
    "text", ["", "\N{EN DASH}", "n/a", "eagle", "12 apples", "1,2,3", "1-2", "-3"]
)
def test_what_is_no_number_is_none(text):
    """Never 0."""
    assert read_cell(text) is None


def test_a_spread_and_a_quotient_are_read():
    """`a ± b` has its own noise; `a/b` is exact."""
    assert read_cell("2.10 \N{PLUS-MINUS SIGN} 0.05").spread == pytest.approx(0.05)
    share = read_cell("167/259").figure
    assert share.low == share.high == pytest.approx(167 / 259)
