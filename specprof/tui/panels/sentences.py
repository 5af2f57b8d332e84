"""The sentences of panels that have nothing to draw."""

from specprof.tui.snapshot import Snapshot

NO_ROUNDS = "No round has been recorded yet. The models may still be loading."
ONLY_SCORED = "This run scored known text. It drafted nothing and decoded no round."
NO_DRAFTS = "This run drafts nothing (depth 0): a baseline has no acceptance to show."
NO_BYTES = "This capture holds no memory readings."
NO_FINDINGS_YET = "The rules have not judged this recording yet."
NOTHING_MATCHES = "Nothing matches the filter"
NO_LOG = "There is no log: the capture was opened from a file, not from its run."


def explain_no_rounds(snapshot: Snapshot) -> str:
    """Return the reason why a snapshot has no rounds."""
    return ONLY_SCORED if len(snapshot.columns.scored) else NO_ROUNDS
