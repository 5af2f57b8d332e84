"""What is drawn where: one file a panel, each a function from a snapshot to marks on a sheet.

A panel knows captures and ink names, nothing of Textual: a widget, the plain-text summary and the
golden files all show the same drawing.
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
    """A panel's name, what it means, and how it is drawn."""

    name: str
    about: str
    draw: Callable[[Sheet, Snapshot], None]


DRAWINGS: dict[int, Drawing] = {
    1: Drawing(
        "accepts per round",
        "Accepted drafts of each of the last rounds, 0 to K, newest at the right; above, accepted "
        "per round over the whole run; at the side, how many rounds accepted how many.",
        draw_accepts,
    ),
    2: Drawing(
        "acceptance by context",
        "alpha_cond (accepted per reached draft, in a tree per reached level) against context "
        "position, with its 95% interval; the overlap owed by the two models' laws; the draft's "
        "trained context. Of known text that was scored: nats per token.",
        draw_context,
    ),
    3: Drawing(
        "draft index",
        "For each place in the draft, a level in a tree: c_i, accepted of those reached, and S_i, "
        "accepted of those drafted there.",
        draw_draft_index,
    ),
    4: Drawing(
        "memory",
        "Bytes of both key-value caches against context; the most tokens they dropped, and in how "
        "many cuts (compressions); the bytes of the device and the host.",
        draw_memory,
    ),
    5: Drawing(
        "time",
        "Where the rounds' time went: draft, verify, accept, rollback, and the host gap that no "
        "span explains; per round, per emitted token, and for each of the last rounds.",
        draw_times,
    ),
    6: Drawing(
        "tokens",
        "The text as it is emitted: accepted drafts, rejected drafts, the correction after a "
        "rejection, the bonus after a draft accepted whole.",
        draw_tokens,
    ),
    7: Drawing(
        "findings",
        "What the rules of diagnosis found in the recording so far; d shows all of it.",
        draw_findings,
    ),
    8: Drawing("log", "The end of what the run itself wrote to its output.", draw_log),
}
"""By number: the key that shows and hides the panel; the log's key is l."""
LOG = 8
