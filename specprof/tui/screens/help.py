"""The help screen: what each key does, and what each panel, sign and rate means."""

from collections.abc import Iterator
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from specprof.tui.keys import close_keys
from specprof.tui.panels import DRAWINGS, LOG
from specprof.tui.panels.tokens import SIGNS

_KEY_SIGNS = {
    "slash": "/", "question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]",
    "plus": "+", "equals_sign": "=", "minus": "-", "escape": "esc",
}  # fmt: skip
_RATES = (
    ("tau", "emitted tokens per round, including the correction or bonus token"),
    ("alpha_cond", "accepted per reached draft; a draft is reached if all before it are accepted"),
    ("accept_frac", "accepted per drafted token"),
    ("c_i, S_i", "accepted at draft index i: c_i per draft reached, S_i per draft drafted there"),
    ("overlap owed", "acceptance that the two models' distributions promise before the draw"),
)


class HelpScreen(ModalScreen[None]):
    """Lists what the keys do and what the panels mean; all its own keys close it."""

    BINDINGS: ClassVar[list[BindingType]] = [*close_keys("escape,question_mark,q", "help.close")]

    def __init__(self, keys: list[Binding]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Create the help text in a scrolling area."""
        with VerticalScroll(id="help") as scroll:
            scroll.border_title = "keys and panels"
            scroll.border_subtitle = "esc: close"
            yield Static(Group(*self._sections()))

    def _sections(self) -> Iterator[Table]:
        keys = [(_key_signs(each), each.tooltip) for each in self._keys if not each.key.isdigit()]
        yield _section("Keys", keys)
        names = {LOG: "l"}
        panels = [
            (names.get(number, str(number)), f"{one.name}. {one.about}")
            for number, one in DRAWINGS.items()
        ]
        yield _section("Panels", panels)
        yield _section("Signs", [(sign, f"{ink} token") for ink, sign in SIGNS.items()])
        yield _section("Rates", list(_RATES))


def _section(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text(title, style="bold underline"))
    for left, right in rows:
        table.add_row(Text(left, style="bold"), Text(right))
    table.add_row()
    return table


def _key_signs(binding: Binding) -> str:
    return "  ".join(_KEY_SIGNS.get(key, key) for key in binding.key.split(","))
