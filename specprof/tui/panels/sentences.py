"""What a panel says when it has nothing to draw."""

NO_ROUNDS = "No round has been recorded yet. The models may still be loading."
NO_DRAFTS = "This run drafts nothing (depth 0): a baseline has no acceptance to show."
NO_BYTES = "This capture holds no memory readings."
NO_FINDINGS_YET = "The rules have not judged this recording yet."
NOTHING_MATCHES = "Nothing matches the filter"
NO_LOG = "There is no output of a run to show: this capture is read from its file."
