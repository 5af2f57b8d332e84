"""The text as it was emitted; a sign and an ink show for each token how it was judged."""

import numpy as np
from rich.cells import cell_len

from specprof.analysis.columns import Columns
from specprof.tui.panels.sentences import NOTHING_MATCHES, explain_no_rounds
from specprof.tui.sheet import Ink, Sheet, safe
from specprof.tui.snapshot import Snapshot

Marked = tuple[str, str, Ink]
"""A token's text, its sign, and its ink."""
SIGNS: dict[Ink, str] = {"accepted": "·", "rejected": "×", "corrected": "→", "bonus": "+"}
_MAX_TOKEN_CHARACTERS = 40


def draw_tokens(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel: the last rounds that fit, the newest at the end."""
    if not snapshot.rounds:
        return sheet.write_sentence(explain_no_rounds(snapshot))
    x = 0
    for ink, sign in SIGNS.items():
        x = sheet.write(x, 0, f"{sign}{ink}", ink) + 2
    room = (sheet.height - 1) * sheet.width
    lines = _break_lines(_last_tokens(snapshot, room), sheet.width)[-(sheet.height - 1) :]
    if not lines:
        sheet.write(0, 1, f"{NOTHING_MATCHES} “{safe(snapshot.needle)}”.", "dim")
    for row, line in enumerate(lines, start=1):
        x = 0
        for text, sign, ink in line:
            x = sheet.write(x, row, sign, "dim" if ink == "accepted" else ink)
            x = sheet.write(x, row, text, ink)
    return None


def _last_tokens(snapshot: Snapshot, room: int) -> list[Marked]:
    """Return the tokens of the last rounds whose text contains the filter, about `room` cells."""
    found, cells = list[list[Marked]](), 0
    for row in range(snapshot.rounds - 1, -1, -1):
        marked = mark_round(snapshot, row)
        if snapshot.needle and snapshot.needle.lower() not in _text(marked).lower():
            continue
        found.append(marked)
        cells += sum(1 + cell_len(text) for text, _, _ in marked)
        if cells > room:
            break
    return [token for marked in reversed(found) for token in marked]


def mark_round(snapshot: Snapshot, row: int) -> list[Marked]:
    """Return one round's tokens in order: accepted drafts, rejected drafts, the final token."""
    columns = snapshot.columns
    index, accepted = columns.rounds.index[row], int(columns.rounds.accepted[row])
    emitted = _tokens_of_round(columns.emitted.round, columns.emitted.token, index)
    refused = bool(accepted < columns.rounds.reached_levels[row])
    rejected = _rejected(columns, index, accepted)
    inks: list[tuple[int, Ink]] = [(token, "accepted") for token in emitted[:accepted]]
    inks += [(token, "rejected") for token in rejected]
    final: Ink = "corrected" if refused else "bonus"
    inks += [(token, final) for token in emitted[accepted:]]
    marked = [
        (safe(snapshot.token_text(token))[:_MAX_TOKEN_CHARACTERS], SIGNS[ink], ink)
        for token, ink in inks
    ]
    return [*_mark_sequence(columns, row), *marked]


def _mark_sequence(columns: Columns, row: int) -> list[Marked]:
    """Return a mark with the number of the round's sequence, if the run has several sequences."""
    if columns.rounds.shared.max(initial=1) == 1:
        return []
    return [(str(columns.rounds.sequence[row]), "#", "dim")]


def _tokens_of_round(rounds: np.ndarray, tokens: np.ndarray, index: int) -> list[int]:
    first, last = np.searchsorted(rounds, [index, index + 1])
    return [int(token) for token in tokens[first:last]]


def _rejected(columns: Columns, index: int, level: int) -> list[int]:
    """Return the rejected drafts of a round: one token, or siblings in a tree."""
    places = columns.places
    first, last = np.searchsorted(places.round, [index, index + 1])
    here = (places.index[first:last] == level) & ~places.accepted[first:last]
    return [int(token) for token in places.token[first:last][here]]


def _text(marked: list[Marked]) -> str:
    return "".join(text for text, _, ink in marked if ink not in {"rejected", "dim"})


def _break_lines(tokens: list[Marked], width: int) -> list[list[Marked]]:
    lines, used = [list[Marked]()], 0
    for token in tokens:
        cells = 1 + cell_len(token[0])
        if used + cells > width and lines[-1]:
            lines.append([])
            used = 0
        lines[-1].append(token)
        used += cells
    return [line for line in lines if line]
