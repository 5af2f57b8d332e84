"""The last lines of the run's own output, which can't print while the dashboard is open."""

from specprof.tui.panels.sentences import NO_LOG
from specprof.tui.sheet import Sheet, safe
from specprof.tui.snapshot import Snapshot


def draw_log(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel: the last lines that fit; long lines are cut."""
    if not snapshot.log:
        return sheet.write_sentence(NO_LOG)
    for row, line in enumerate(snapshot.log[-sheet.height :]):
        sheet.write(0, row, safe(line))
    return None
