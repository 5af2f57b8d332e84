"""The main screen: the trust line, the panels in rows that fit the terminal, the filter, the keys.

Knows which panels are wanted, shown and maximised; nothing of files or rounds.
"""

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input

from specprof.tui.arrangement import PRIORITY, rows_of
from specprof.tui.keys import DASHBOARD_KEYS
from specprof.tui.messages import Filtered
from specprof.tui.panels import DRAWINGS
from specprof.tui.panels.trust import draw_trust
from specprof.tui.widgets.panel import Drawn, Panel

_GRID = 6  # columns of the grid: rows of one, two or three panels divide it evenly
_CLASSIC, _ONE_LINE = 80, 190
"""Columns from which the trust line has room for everything in three rows, and in two."""


class DashboardScreen(Screen[None]):
    """Shows as many of the wanted panels as the terminal has room for."""

    BINDINGS: ClassVar[list[BindingType]] = [*DASHBOARD_KEYS]

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__()
        self._ascii_only = ascii_only
        self._wanted = list(PRIORITY)
        self._maximised: int | None = None
        self.set_class(ascii_only, "-ascii")

    @property
    def shown(self) -> list[int]:
        """The numbers of the panels on the screen, ascending."""
        return [number for row in self._rows() for number in row]

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Drawn(draw_trust, ascii_only=self._ascii_only, id="trust")
        with Grid(id="panels"):
            yield from self._panels()
        yield Input(placeholder="show only rounds and findings with …   (esc: all)", id="filter")
        yield Footer(show_command_palette=not self._ascii_only)

    def on_mount(self) -> None:
        """Start with the first panel in focus."""
        self._arrange()
        self.query_one(f"#panel-{self.shown[0]}").focus()

    def on_resize(self) -> None:
        """Arrange anew for another size."""
        self._arrange()

    def action_panel(self, number: int) -> None:
        """Show a panel, or hide it where it shows and others do too."""
        self._maximised = None
        if number not in self.shown:
            self._wanted = [number, *(other for other in self._wanted if other != number)]
        elif len(self.shown) > 1:
            self._wanted.remove(number)
        self._arrange()
        self.query_one(f"#panel-{number}").focus()

    def action_panels(self) -> None:
        """Do nothing: the footer names the digits together, each has a key of its own."""

    def action_maximise(self) -> None:
        """Give the focused panel the whole screen, or take it back."""
        focused = self.focused
        if self._maximised is not None:
            self._maximised = None
        elif isinstance(focused, Panel):
            self._maximised = focused.number
        self._arrange()

    def action_filter(self) -> None:
        """Open the filter."""
        self._filter.display = True
        self._filter.focus()

    def action_back(self) -> None:
        """Leave whatever was entered last: the filter, a maximised panel, a replay."""
        if self._filter.display:
            self._filter.value = ""
            self._close_filter()
        elif self._maximised is not None:
            self.action_maximise()
        else:
            self.app.call_later(self.app.run_action, "follow")

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.post_message(Filtered(event.value))

    @on(Input.Submitted, "#filter")
    def _filter_set(self) -> None:
        self._close_filter()

    @property
    def _filter(self) -> Input:
        return self.query_one("#filter", Input)

    def _close_filter(self) -> None:
        self._filter.display = bool(self._filter.value)
        self.query_one(f"#panel-{self.shown[0]}").focus()

    def _panels(self) -> Iterator[Widget]:
        for number, drawing in DRAWINGS.items():
            yield Panel(number, drawing.name, drawing.draw, ascii_only=self._ascii_only)

    def _rows(self) -> list[list[int]]:
        if self._maximised is not None:
            return [[self._maximised]]
        taken = self._trust_rows + 1  # the keys take a row
        return rows_of(self._wanted, self.size.width, self.size.height - taken)

    @property
    def _trust_rows(self) -> int:
        return 3 if _CLASSIC <= self.size.width < _ONE_LINE else 2

    def _arrange(self) -> None:
        rows = self._rows()
        spans = {number: _GRID // len(row) for row in rows for number in row}
        for panel in self.query(Panel):
            panel.display = panel.number in spans
            panel.styles.column_span = spans.get(panel.number, 1)
        self.query_one("#panels").styles.grid_size_rows = len(rows)
        self.query_one("#trust").styles.height = self._trust_rows
