"""The text as it was emitted, every token with a sign and an ink for what became of it."""

import numpy as np
from rich.cells import cell_len

from specprof.analysis.columns import Columns
from specprof.tui.panels.sentences import NOTHING_MATCHES, no_rounds
from specprof.tui.sheet import Ink, Sheet, safe
from specprof.tui.snapshot import Snapshot

Marked = tuple[str, str, Ink]
"""A token's text, its sign, and its ink."""
SIGNS: dict[Ink, str] = {"accepted": "·", "rejected": "×", "corrected": "→", "bonus": "+"}
_LONGEST = 40


def draw_tokens(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel: the last rounds that fit, the newest at the end."""
    if not snapshot.rounds:
        return sheet.sentence(no_rounds(snapshot))
    x = 0
    for ink, sign in SIGNS.items():
        x = sheet.write(x, 0, f"{sign}{ink}", ink) + 2
    room = (sheet.height - 1) * sheet.width
    lines = _laid_out(_last_tokens(snapshot, room), sheet.width)[-(sheet.height - 1) :]
    if not lines:
        sheet.write(0, 1, f"{NOTHING_MATCHES} “{safe(snapshot.needle)}”.", "dim")
    for row, line in enumerate(lines, start=1):
        x = 0
        for text, sign, ink in line:
            x = sheet.write(x, row, sign, "dim" if ink == "accepted" else ink)
            x = sheet.write(x, row, text, ink)
    return None


def _last_tokens(snapshot: Snapshot, room: int) -> list[Marked]:
    """Return the tokens of the last rounds whose text holds the filter, about `room` cells."""
    found, cells = list[list[Marked]](), 0
    for row in range(snapshot.rounds - 1, -1, -1):
        marked = marked_round(snapshot, row)
        if snapshot.needle and snapshot.needle.lower() not in _text(marked).lower():
            continue
        found.append(marked)
        cells += sum(1 + cell_len(text) for text, _, _ in marked)
        if cells > room:
            break
    return [token for marked in reversed(found) for token in marked]


def marked_round(snapshot: Snapshot, row: int) -> list[Marked]:
    """Return the tokens of one round in order: accepted drafts, a rejected one, the final one."""
    columns = snapshot.columns
    index, accepted = columns.rounds.index[row], int(columns.rounds.accepted[row])
    emitted = _tokens(columns.emitted.round, columns.emitted.token, index)
    refused = bool(accepted < columns.rounds.reached_levels[row])
    rejected = _rejected(columns, index, accepted)
    inks: list[tuple[int, Ink]] = [(token, "accepted") for token in emitted[:accepted]]
    inks += [(token, "rejected") for token in rejected]
    final: Ink = "corrected" if refused else "bonus"
    inks += [(token, final) for token in emitted[accepted:]]
    marked = [(safe(snapshot.token_text(token))[:_LONGEST], SIGNS[ink], ink) for token, ink in inks]
    return [*_sequence(columns, row), *marked]


def _sequence(columns: Columns, row: int) -> list[Marked]:
    """Return the number of the sequence a round belongs to, where there are several."""
    if columns.rounds.shared.max(initial=1) == 1:
        return []
    return [(str(columns.rounds.sequence[row]), "#", "dim")]


def _tokens(rounds: np.ndarray, tokens: np.ndarray, index: int) -> list[int]:
    first, last = np.searchsorted(rounds, [index, index + 1])
    return [int(token) for token in tokens[first:last]]


def _rejected(columns: Columns, index: int, level: int) -> list[int]:
    """Return what the round's last level rejected: one token, or siblings in a tree."""
    places = columns.places
    first, last = np.searchsorted(places.round, [index, index + 1])
    here = (places.index[first:last] == level) & ~places.accepted[first:last]
    return [int(token) for token in places.token[first:last][here]]


def _text(marked: list[Marked]) -> str:
    return "".join(text for text, _, ink in marked if ink not in {"rejected", "dim"})


def _laid_out(tokens: list[Marked], width: int) -> list[list[Marked]]:
    lines, used = [list[Marked]()], 0
    for token in tokens:
        cells = 1 + cell_len(token[0])
        if used + cells > width and lines[-1]:
            lines.append([])
            used = 0
        lines[-1].append(token)
        used += cells
    return [line for line in lines if line]
