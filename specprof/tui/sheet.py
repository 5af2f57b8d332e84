"""A sheet of characters, each with the name of an ink. Every panel draws on a sheet.

Knows cells, glyphs and ink names; nothing of colours, terminals or Textual, so the same panel
fills a widget, a plain-text summary and a golden file. Callers pass text of models or captures
through `safe` before they write it.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

Ink = Literal[
    "plain", "dim", "strong", "good", "warn", "bad",
    "accepted", "rejected", "corrected", "bonus",
    "draft", "verify", "accept", "rollback", "other", "gap",
    "target", "owed", "band", "mark",
]  # fmt: skip
INKS: tuple[Ink, ...] = get_args(Ink)
_NUMBER = {ink: number for number, ink in enumerate(INKS)}

Glyphs = NDArray[np.str_]
EIGHTHS_UP = " ▁▂▃▄▅▆▇█"
EIGHTHS_RIGHT = " ▏▎▍▌▋▊▉█"
_ASCII = {
    **dict(zip("▁▂▃▄▅▆▇", "__.-=+#", strict=True)),
    **dict(zip("▏▎▍▌▋▊▉", "||||###", strict=True)),
    **dict(zip("│┆─━└┤┴", "||-=+++", strict=True)),
    **dict(zip("●◐✓×▲█▓▒░▚", "*ovx!#%=-&", strict=True)),
    **dict(zip("→↵⇥·…–⟨⟩“”", ">~>.~-<>''", strict=True)),
}


class Sheet:
    """`width` x `height` cells; writing outside them is clipped, never an error."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.glyphs: Glyphs = np.full((height, width), " ", dtype="<U1")
        self.inks = np.zeros((height, width), dtype=np.uint8)

    def write(self, x: int, y: int, text: str, ink: Ink = "plain") -> int:
        """Write `text` from cell (x, y) on; return the x after its end, even if clipped."""
        if text.isascii():
            self._put_text(x, y, text, ink)
            return x + len(text)
        if not 0 <= y < self.height:
            return x + cell_len(text)
        for glyph in text:
            cells = cell_len(glyph)
            if x >= 0 and x + cells <= self.width:
                # A wide glyph owns two cells: its own, and an empty one behind it.
                self._put_text(x, y, glyph, ink)
                if cells == 2:  # noqa: PLR2004 - the two cells of a wide glyph
                    self.glyphs[y, x + 1] = ""
            x += cells
        return x

    def write_right(self, x: int, y: int, text: str, ink: Ink = "plain") -> None:
        """Write `text` so that it ends before cell x."""
        self.write(x - cell_len(text), y, text, ink)

    def fill(self, x: int, y: int, glyphs: Glyphs, ink: Ink | NDArray[np.uint8]) -> None:
        """Put a block of glyphs, [rows, columns], on the sheet, in one ink or one per cell."""
        rows, columns = glyphs.shape
        self.glyphs[y : y + rows, x : x + columns] = glyphs
        self.inks[y : y + rows, x : x + columns] = _NUMBER[ink] if isinstance(ink, str) else ink

    def draw_bar(self, x: int, y: int, width: int, share: float, ink: Ink) -> None:
        """Draw a horizontal bar over `share` (0 to 1) of `width` cells, to an eighth of a cell."""
        eighths = round(max(0.0, min(1.0, share)) * width * 8)
        whole, part = divmod(eighths, 8)
        self.write(x, y, "█" * whole + EIGHTHS_RIGHT[part].strip(), ink)

    def write_sentence(self, text: str, ink: Ink = "dim") -> None:
        """Write a wrapped sentence from the top, for a panel that has nothing to draw."""
        for y, line in enumerate(wrap_text(text, self.width)[: self.height]):
            self.write(0, y, line, ink)

    def lines(self, *, ascii_only: bool = False) -> list[str]:
        """Return the rows as text without trailing blanks."""
        rows = ("".join(row) for row in (as_ascii(self.glyphs) if ascii_only else self.glyphs))
        return [row.rstrip() for row in rows]

    def _put_text(self, x: int, y: int, text: str, ink: Ink) -> None:
        if not 0 <= y < self.height:
            return
        text, x = text[max(0, -x) :], max(0, x)
        text = text[: max(0, self.width - x)]
        if text:
            self.glyphs[y, x : x + len(text)] = list(text)
            self.inks[y, x : x + len(text)] = _NUMBER[ink]


def ink_number(ink: Ink) -> int:
    """Return the number of an ink in `Sheet.inks`."""
    return _NUMBER[ink]


def as_ascii(glyphs: Glyphs) -> Glyphs:
    """Return the glyphs with an ASCII character in each cell."""
    points = glyphs.copy().view("<u4")
    plain = _ASCII_TABLE[np.minimum(points, len(_ASCII_TABLE) - 1)]
    return np.ascontiguousarray(plain).view("<U1")


def wrap_text(text: str, width: int) -> list[str]:
    """Break `text` at spaces into lines of at most `width` cells; cut longer words."""
    lines = list[str]()
    for word in (piece for whole in text.split(" ") for piece in _split_word(whole, width)):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _split_word(word: str, width: int) -> list[str]:
    if cell_len(word) <= width:
        return [word]
    # Every glyph may be two cells wide: half as many glyphs fit for certain.
    room = width if word.isascii() else max(width // 2, 1)
    return [word[at : at + room] for at in range(0, len(word), room)] if width > 0 else []


def safe(text: str) -> str:
    r"""Return `text` with every character escaped that could control or garble a terminal.

    Control, format, private and zero-width characters become `\x..` or `\u....`; a line break
    becomes `↵`, a tab `⇥`. Markup needs no escape: a sheet doesn't interpret it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escape_glyph, text))


def _escape_glyph(glyph: str) -> str:
    match glyph:
        case "\n":
            return "↵"
        case "\t":
            return "⇥"
        case _ if glyph.isprintable() and cell_len(glyph) > 0:
            return glyph
        case _:
            return ascii(glyph)[1:-1]


def _ascii_table() -> NDArray[np.uint32]:
    table = np.full(0x2901, ord("?"), dtype=np.uint32)
    table[:128] = np.arange(128)
    for glyph, plain in _ASCII.items():
        table[ord(glyph)] = ord(plain)
    bits = np.arange(256)
    upper, lower = (bits & 0b00011011) > 0, (bits & 0b11100100) > 0
    table[0x2800:0x2900] = np.select(
        [upper & lower, upper, lower], [ord(":"), ord("'"), ord(".")], 32
    )
    return table


_ASCII_TABLE = _ascii_table()
