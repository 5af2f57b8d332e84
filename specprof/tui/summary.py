"""One screen of plain text on a capture, for output that is no terminal.

It uses the dashboard's drawings without Textual, so both always show equal content.
"""

from pathlib import Path

from specprof.diagnosis.diagnose import findings_so_far
from specprof.plain import plain
from specprof.tui.follow import Reading, read_all
from specprof.tui.panels import DRAWINGS
from specprof.tui.panels.trust import draw_trust
from specprof.tui.sheet import Sheet
from specprof.tui.snapshot import Snapshot

SUMMARY_WIDTH = 100
_MAX_ROWS = {1: 8, 2: 10, 3: 9, 4: 5, 5: 10, 7: 12}
"""Panel number -> the most rows it gets."""


def summary(path: Path, *, ascii_only: bool = False) -> str:
    """Return the text on a capture. Raises CaptureUnreadable where the file is no capture."""
    return draw_summary(read_all(path), ascii_only=ascii_only)


def draw_summary(reading: Reading, *, ascii_only: bool = False) -> str:
    """Return the text on a capture that was read; a damage report comes first."""
    snapshot = Snapshot(
        columns=reading.columns,
        state=reading.state,
        recorded=len(reading.columns.rounds),
        damaged=reading.damaged,
        torn=reading.torn,
        silent_s=reading.silent_s,
        lost=reading.lost,
        diagnosis=findings_so_far(reading.columns),
        judged=len(reading.columns.rounds),
    )
    trust = Sheet(SUMMARY_WIDTH, 4)
    draw_trust(trust, snapshot)
    damage = reading.columns.damaged.sentence()
    lines = [plain(f"{damage[0].upper()}{damage[1:]}."), ""] if damage else []
    lines += _printable_lines(trust, ascii_only=ascii_only)
    for number, rows in _MAX_ROWS.items():
        drawing, sheet = DRAWINGS[number], Sheet(SUMMARY_WIDTH - 2, rows)
        drawing.draw(sheet, snapshot)
        lines += ["", drawing.name]
        lines += [f"  {line}".rstrip() for line in _printable_lines(sheet, ascii_only=ascii_only)]
    return "\n".join(lines) + "\n"


def _printable_lines(sheet: Sheet, *, ascii_only: bool) -> list[str]:
    lines = sheet.lines(ascii_only=ascii_only)
    while lines and not lines[-1]:
        lines.pop()
    return lines
