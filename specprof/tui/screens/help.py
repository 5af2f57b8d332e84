"""The help screen: every key with what it does, every panel with what it means, every sign."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from specprof.tui.panels import DRAWINGS
from specprof.tui.panels.tokens import SIGNS

_NAMES = {"slash": "/", "left_square_bracket": "[", "right_square_bracket": "]", "space": "space"}
_RATES = (
    ("tau", "emitted tokens per round, the correction or bonus in"),
    ("alpha_cond", "accepted per reached draft: those evaluated, all before them accepted"),
    ("accept_frac", "accepted per drafted token"),
    ("c_i, S_i", "accepted at draft index i, per reached there and per drafted there"),
    ("overlap owed", "acceptance the two models' laws promise before the draw"),
)


class HelpScreen(ModalScreen[None]):
    """Lists what the keys do and what the panels mean; any of its keys closes it."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape,question_mark,q", "dismiss", "close", tooltip="Back to the panels", id="help.close")
    ]

    def __init__(self, keys: list[Binding]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Lay the help out."""
        with VerticalScroll(id="help") as scroll:
            scroll.border_title = "specprof: keys and panels"
            scroll.border_subtitle = "esc closes"
            yield Static(self._text())

    def _text(self) -> Content:
        keys = [(_key(each), each.tooltip or each.description) for each in self._keys]
        panels = [(str(number), f"{one.name}: {one.about}") for number, one in DRAWINGS.items()]
        panels[-1] = ("l", panels[-1][1])
        signs = [(sign, f"{ink} token") for ink, sign in SIGNS.items()]
        parts = (("Keys", keys), ("Panels", panels), ("Signs", signs), ("Rates", list(_RATES)))
        return Content("\n\n").join([_section(title, rows) for title, rows in parts])


def _section(title: str, rows: list[tuple[str, str]]) -> Content:
    width = max(len(left) for left, _ in rows) + 2
    lines = [Content.styled(title, "bold $primary")]
    lines += [Content.assemble((left.ljust(width), "bold"), right) for left, right in rows]
    return Content("\n").join(lines)


def _key(binding: Binding) -> str:
    return " ".join(_NAMES.get(key, key) for key in (binding.key_display or binding.key).split(","))
