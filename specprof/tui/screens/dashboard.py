"""The main screen: the trust lines, the panels in rows that fit, the filter and the keys.

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

_GRID_COLUMNS = 6  # columns of the grid: rows of one, two or three panels divide it evenly
_THREE_ROWS_FROM, _TWO_ROWS_FROM = 80, 190
"""Terminal columns from which the trust lines fit into three rows, and into two rows."""


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
        """Create the widgets of the screen."""
        yield Drawn(draw_trust, ascii_only=self._ascii_only, id="trust")
        with Grid(id="panels"):
            yield from self._panels()
        yield Input(placeholder="show only rounds and findings with …   (esc: all)", id="filter")
        yield Footer(show_command_palette=not self._ascii_only)

    def on_mount(self) -> None:
        """Arrange the panels and focus the first one."""
        self._arrange()
        self.query_one(f"#panel-{self.shown[0]}").focus()

    def on_resize(self) -> None:
        """Arrange the panels for the new size."""
        self._arrange()

    def action_panel(self, number: int) -> None:
        """Show a hidden panel, or hide a shown panel unless it is the only one."""
        self._maximised = None
        if number not in self.shown:
            self._wanted = [number, *(other for other in self._wanted if other != number)]
        elif len(self.shown) > 1:
            self._wanted.remove(number)
        self._arrange()
        self.query_one(f"#panel-{number}").focus()

    def action_panels(self) -> None:
        """Do nothing: the footer shows `1-7` together, but each digit has its own binding."""

    def action_maximise(self) -> None:
        """Give the focused panel the whole screen, or end that."""
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
        """End the filter, else the maximised panel, else the pause or the replay."""
        if self._filter.display:
            self._filter.value = ""
            self._close_filter()
        elif self._maximised is not None:
            self.action_maximise()
        else:
            self.app.call_later(self.app.run_action, "follow")

    @on(Input.Changed, "#filter")
    def _post_filter(self, event: Input.Changed) -> None:
        self.post_message(Filtered(event.value))

    @on(Input.Submitted, "#filter")
    def _submit_filter(self) -> None:
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
        return 3 if _THREE_ROWS_FROM <= self.size.width < _TWO_ROWS_FROM else 2

    def _arrange(self) -> None:
        rows = self._rows()
        spans = {number: _GRID_COLUMNS // len(row) for row in rows for number in row}
        for panel in self.query(Panel):
            panel.display = panel.number in spans
            panel.styles.column_span = spans.get(panel.number, 1)
        self.query_one("#panels").styles.grid_size_rows = len(rows)
        self.query_one("#trust").styles.height = self._trust_rows
