"""The panels: one file per panel, with a function that draws a snapshot on a sheet.

A panel knows captures and ink names, nothing of Textual. So a widget, the plain-text summary and
the golden files all show the same drawing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from specprof.tui.panels.accepts import draw_accepts
from specprof.tui.panels.context import draw_context
from specprof.tui.panels.draft_index import draw_draft_index
from specprof.tui.panels.findings import draw_findings
from specprof.tui.panels.log import draw_log
from specprof.tui.panels.memory import draw_memory
from specprof.tui.panels.times import draw_times
from specprof.tui.panels.tokens import draw_tokens
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Drawing:
    """A panel's name, its explanation, and the function that draws it."""

    name: str
    about: str
    draw: Callable[[Sheet, Snapshot], None]


DRAWINGS: dict[int, Drawing] = {
    1: Drawing(
        "accepts per round",
        "Bars: accepted drafts of each of the last rounds, 0 to K, newest at the right. Line: "
        "accepted drafts per round over the whole run. Table: share of rounds by accepted drafts.",
        draw_accepts,
    ),
    2: Drawing(
        "acceptance by context",
        "alpha_cond (accepted per reached draft, in a tree per reached level) against context, "
        "with its 95% interval; the overlap owed, which is the acceptance the two models' "
        "distributions promise; the draft's trained context. For scored text: nats per token.",
        draw_context,
    ),
    3: Drawing(
        "draft index",
        "For each index in the draft (in a tree: each level): c_i, accepted per draft reached "
        "there, and S_i, accepted per draft drafted there.",
        draw_draft_index,
    ),
    4: Drawing(
        "memory",
        "Bytes of both key-value caches against context; the most tokens they dropped, and in how "
        "many cuts (compressions); bytes used on the device and on the host.",
        draw_memory,
    ),
    5: Drawing(
        "time",
        "Time of the rounds by phase: draft, verify, accept, rollback, and the host gap, which is "
        "the time outside all phases; per round, per emitted token, and for each of the last "
        "rounds.",
        draw_times,
    ),
    6: Drawing(
        "tokens",
        "The text as it is emitted: accepted drafts, rejected drafts, the correction after a "
        "rejection, the bonus token after a fully accepted draft.",
        draw_tokens,
    ),
    7: Drawing(
        "findings",
        "What the rules of diagnosis found in the recording so far; d shows all outcomes.",
        draw_findings,
    ),
    8: Drawing("log", "The last lines that the run wrote to its output.", draw_log),
}
"""Panel number -> drawing. The number is the key that shows and hides it; the log's key is l."""
LOG = 8
