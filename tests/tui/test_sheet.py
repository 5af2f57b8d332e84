"""Sheets: text lands where it should, clipped, never steering the terminal."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from specprof.tui.sheet import Sheet, ink_number, safe, wrap_text


@given(st.text(max_size=40), st.integers(-50, 50), st.integers(-3, 5))
@example("ぁ", 0, -2)
def test_no_text_leaves_the_sheet(text, x, y):
    """Whatever is written wherever, every row stays as wide as the sheet."""
    sheet = Sheet(20, 3)
    sheet.write(x, y, safe(text), "bad")
    assert all(cell_len("".join(row)) == 20 for row in sheet.glyphs)


def test_a_wide_glyph_takes_two_cells():
    """What follows a CJK glyph stands two cells on, and one that doesn't fit is left out."""
    sheet = Sheet(5, 1)
    assert sheet.write(0, 0, "語a語", "plain") == 5
    assert sheet.lines() == ["語a語"]
    narrow = Sheet(1, 1)
    narrow.write(0, 0, "語")
    assert narrow.lines() == [""]


@given(st.text(max_size=60))
def test_safe_text_can_not_steer_a_terminal(text):
    """No control, format or zero-width character comes through, and printable ones do."""
    shown = safe(text)
    assert all(glyph.isprintable() and cell_len(glyph) > 0 for glyph in shown)
    assert safe("plain words, 語") == "plain words, 語"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31m", "\\x1b[31m"), ("a\nb", "a↵b"), ("\u202e", "\\u202e"), ("e\u0301", "e\\u0301")],
)
def test_hostile_glyphs_are_spelled_out(text, shown):
    """Escape sequences, line ends, direction overrides and combining marks become visible."""
    assert safe(text) == shown


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.integers(0, 30))
def test_wrapped_lines_fit(text, width):
    """No line is wider than asked, whatever the words; no width at all gives no lines."""
    lines = wrap_text(safe(text), width)
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert "".join(wrap_text("one two three", 7)) == "one twothree"


def test_a_bar_is_as_long_as_its_share():
    """Bars are drawn to an eighth of a cell, and shares beyond 0 to 1 are held there."""
    sheet = Sheet(10, 4)
    for row, share in enumerate((0.5, 0.0, 7.0, 0.33)):
        sheet.draw_bar(0, row, 10, share, "good")
    assert sheet.lines() == ["█████", "", "██████████", "███▎"]
    assert (sheet.inks[0, :5] == ink_number("good")).all()


def test_every_glyph_used_has_an_ascii_stand_in():
    """A question mark would betray a sign that the ASCII screen can't tell."""
    sheet = Sheet(80, 1)
    used = "▁▂▃▄▅▆▇█▏▎▍▌▋▊▉│┆─━└┤┴●◐✓×▲▓▒░▚→↵⇥·…–⟨⟩“”⠁⣿⠀"
    sheet.write(0, 0, used)
    line = "".join(sheet.lines(ascii_only=True))
    assert line.isascii()
    assert "?" not in line


def test_a_block_is_laid_where_it_belongs():
    """fill places glyphs and one ink per cell."""
    sheet = Sheet(4, 3)
    inks = np.array([[1, 2]], dtype=np.uint8)
    sheet.fill(1, 1, np.array([["a", "b"]]), inks)
    assert sheet.lines() == ["", " ab", ""]
    assert sheet.inks[1].tolist() == [0, 1, 2, 0]
