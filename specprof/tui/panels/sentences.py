"""What a panel says when it has nothing to draw."""

from specprof.tui.snapshot import Snapshot

NO_ROUNDS = "No round has been recorded yet. The models may still be loading."
SCORED = "Known text was scored here: nothing was drafted, and no round decoded."
NO_DRAFTS = "This run drafts nothing (depth 0): a baseline has no acceptance to show."
NO_BYTES = "This capture holds no memory readings."
NO_FINDINGS_YET = "The rules have not judged this recording yet."
NOTHING_MATCHES = "Nothing matches the filter"
NO_LOG = "There is no output of a run to show: this capture is read from its file."


def no_rounds(snapshot: Snapshot) -> str:
    """Return why a snapshot has no round to draw."""
    return SCORED if len(snapshot.columns.scored) else NO_ROUNDS
