"""A widget that shows a drawing, on a sheet of its size, in the colours of the style sheet.

Knows Textual's lines and styles; nothing of the drawing's content.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from specprof.tui.sheet import INKS, Glyphs, Ink, Sheet, as_ascii
from specprof.tui.snapshot import Snapshot

Draw = Callable[[Sheet, Snapshot], None]


class Drawn(Widget):
    """Shows the app's snapshot as `draw` draws it; redraws for a new snapshot, size or style."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"ink--{ink}" for ink in INKS}

    snapshot: reactive[Snapshot] = reactive(Snapshot)

    def __init__(self, draw: Draw, *, ascii_only: bool, id: str) -> None:  # noqa: A002 - Textual's
        super().__init__(id=id)
        self._draw = draw
        self._ascii_only = ascii_only
        self._strips: list[Strip] = []
        self._drawn: tuple[object, ...] = ()

    def on_mount(self) -> None:
        """Follow the snapshots of the app."""
        self.watch(self.app, "snapshot", self._take_snapshot)

    def render_line(self, y: int) -> Strip:
        """Return one line of the drawing (Textual's line API)."""
        drawn = (self.snapshot, self.size, self.rich_style, self.app.theme)
        if drawn != self._drawn:
            self._drawn = drawn
            self._strips = self._draw_strips()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def _draw_strips(self) -> list[Strip]:
        sheet = Sheet(*self.size)
        self._draw(sheet, self.snapshot)
        glyphs = as_ascii(sheet.glyphs) if self._ascii_only else sheet.glyphs
        styles = [self._style(ink) for ink in INKS]
        rows = zip(glyphs, sheet.inks, strict=True)
        return [_make_strip(row, inks, styles, sheet.width) for row, inks in rows]

    def _style(self, ink: Ink) -> Style:
        """Return an ink's style; a translucent colour is mixed with the background."""
        component = self.get_component_styles(f"ink--{ink}")
        _, beneath = self.background_colors
        colour = (beneath + component.color).rich_color
        return self.rich_style + Style(color=colour) + component.text_style


class Panel(Drawn, can_focus=True):
    """A numbered drawing with a border and a name."""

    def __init__(self, number: int, name: str, draw: Draw, *, ascii_only: bool) -> None:
        super().__init__(draw, ascii_only=ascii_only, id=f"panel-{number}")
        self.number = number
        self.border_title = f"{number} {name}"


def _make_strip(glyphs: Glyphs, inks: NDArray[np.uint8], styles: list[Style], width: int) -> Strip:
    starts = [0, *(np.flatnonzero(np.diff(inks)) + 1).tolist(), len(inks)]
    segments = [
        Segment("".join(glyphs[start:end]), styles[inks[start]]) for start, end in pairwise(starts)
    ]
    return Strip(segments, width)
