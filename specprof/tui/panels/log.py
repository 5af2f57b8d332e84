"""The end of the run's own output, kept while the dashboard has the terminal."""

from specprof.tui.panels.sentences import NO_LOG
from specprof.tui.sheet import Sheet, safe
from specprof.tui.snapshot import Snapshot


def draw_log(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel: the last lines that fit, long ones cut."""
    if not snapshot.log:
        return sheet.sentence(NO_LOG)
    for row, line in enumerate(snapshot.log[-sheet.height :]):
        sheet.write(0, row, safe(line))
    return None
