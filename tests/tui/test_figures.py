"""Numbers in words; what isn't known is an en dash, never 0."""

import math

import pytest

from specprof.tui import figures

FORMATS = [
    figures.count, figures.short_count, figures.rate, figures.ratio, figures.percent,
    figures.ms, figures.size, figures.clock,
]  # fmt: skip


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("value", [None, math.nan])
def test_not_known_is_a_dash(text, value):
    """None and nan read alike in every format."""
    assert text(value) == "–"


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        (figures.count, 20000, "20,000"),
        (figures.short_count, 999, "999"),
        (figures.short_count, 22380, "22.4k"),
        (figures.short_count, 1_300_000, "1.30M"),
        (figures.rate, 0.61349, "0.613"),
        (figures.percent, 0.613, "61.3%"),
        (figures.ms, 2_755_000, "2.755"),
        (figures.ms, 123_456_789, "123.5"),
        (figures.size, 491, "491 B"),
        (figures.size, 1536 * 1024, "1.50 MiB"),
        (figures.size, 20 * 2**40, "20.0 TiB"),
        (figures.clock, 42e9, "0:42"),
        (figures.clock, 3785e9, "1:03:05"),
    ],
)
def test_known_numbers_read_as_documented(text, value, shown):
    """Digits, units and separators are fixed."""
    assert text(value) == shown


def test_a_share_of_nothing_is_not_known():
    """0 of 0 is no rate at all."""
    assert figures.share(0, 0) is None
    assert figures.share(1, 4) == 0.25
