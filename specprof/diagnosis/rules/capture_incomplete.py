"""The capture does not hold the whole run.

Measures
    How the run ended; lines that could not be read, or whose values no engine can produce; rounds
    that the file lacks, by the end line's count or by the gaps in the rounds' numbers; prefills,
    ends, plain steps and rechecks that other bursts of the capture have and some burst lacks.

Fires when
    There is no end line (a killed run, a full disk), the run was interrupted or failed, lines are
    damaged, a line after the end line is cut off, or rounds or lines are missing. A capture still
    being written need not have an end.

Why this is the measurement and not the engine
    The lines in the file are true, and the missing ones may differ from them. Two rounds are not
    compared where a round between them is missing.

Likely causes
    Ctrl-C, a kill, a full disk, an error of the engine (its reason is quoted), a copied or edited
    file.

Confirm
    Record again, on a disk with room.

Does not see
    Rounds that the backend never reported; other lines that your own recorded loop leaves out.

Try it
    specprof run, then Ctrl-C
"""

from typing import ClassVar

import numpy as np

from specprof.analysis.evidence import Evidence
from specprof.analysis.lines_missing import lines_missing
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Stage, Unknown

BEFORE_ALL = -1
"""The round before the first."""


class CaptureIncomplete(Rule):
    """Reads the file's end, and counts what is missing."""

    family: ClassVar[Family] = "measurement"
    stage: ClassVar[Stage] = Stage.MEASUREMENT
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """List what the file lacks."""
        end, recorded = evidence.columns.end, len(evidence.columns.rounds)
        missing, after = _count_missing(evidence)
        reasons = []
        if end is None and not evidence.live:
            reasons.append("it has no end line: the run was killed, or the disk filled up")
        elif end and end.status != "complete":
            reasons.append(f"the run {_describe_end(end.status, end.reason)}")
        damaged = evidence.columns.damaged
        if damaged:
            reasons.append(damaged.sentence())
        if end and evidence.columns.torn:
            reasons.append("after its end line comes a line that was cut off")
        if missing > 0:
            rounds = "1 round is" if missing == 1 else f"{missing:,} rounds are"
            where = "" if after is None else f", the first after round {after:,}"
            where = ", round 0 among them" if after == BEFORE_ALL else where
            reasons.append(f"{rounds} missing{where}")
        lines = lines_missing(evidence.columns)
        if lines:
            reasons.append(f"{', '.join(lines)} {'is' if len(lines) == 1 else 'are'} missing")
        if not reasons and evidence.live:
            return Unknown(reason="the capture is still being written")
        if not reasons:
            return Clear(detectable=f"one missing round of {recorded:,}")
        finding = Finding(
            message="the capture is incomplete: " + "; ".join(reasons),
            measures=(
                Measure(name="rounds recorded", value=recorded),
                Measure(name="lines damaged", value=len(damaged)),
            ),
            remedy="record again before you trust totals; rates of the recorded rounds stay valid",
        )
        return Found(finding=finding)


def _count_missing(evidence: Evidence) -> tuple[int, int | None]:
    """Return how many rounds the file lacks, and the round before the first missing one.

    The latter is None where the file holds no rounds in order.
    """
    index, end = evidence.columns.rounds.index, evidence.columns.end
    if not len(index) or (np.diff(index) <= 0).any():
        return max(end.rounds - len(index), 0) if end else 0, None
    lost = index - np.arange(len(index))
    missing = max(end.rounds - len(index), 0) if end else int(lost[-1])
    return missing, int((lost == 0).sum()) - 1


def _describe_end(status: str, reason: str | None) -> str:
    how = "was interrupted" if status == "interrupted" else status
    return f"{how} ({reason})" if reason else how
