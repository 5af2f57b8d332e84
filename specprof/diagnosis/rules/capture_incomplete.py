"""The capture does not hold the whole run.

Measures
    How the run ended; lines that could not be read; rounds the end line counts and the file lacks.

Fires when
    There is no end line (a killed run, a full disk), the run was interrupted or failed, lines are
    damaged, or rounds are missing. A capture still being written is not judged.

Why this is the measurement and not the engine
    What is there is true; what is missing may not resemble it.

Likely causes
    Ctrl-C, a kill, a full disk, an error of the engine (its reason is quoted), a copied file.

Confirm
    Record again, on a disk with room.

Does not see
    Rounds the backend never reported.

Try it
    specprof run, then Ctrl-C
"""

from typing import ClassVar

from specprof.analysis.evidence import Evidence
from specprof.extend import Rule
from specprof.findings import Clear, Family, Finding, Found, Measure, Outcome, Unknown


class CaptureIncomplete(Rule):
    """A look at the file's end."""

    family: ClassVar[Family] = "measurement"
    row: ClassVar[float] = 12
    statistical: ClassVar[bool] = False

    def judge(self, evidence: Evidence) -> Outcome:
        """Say what the file lacks."""
        if evidence.live:
            return Unknown(reason="the capture is still being written")
        end, recorded = evidence.columns.end, len(evidence.columns.rounds)
        missing = end.rounds - recorded if end else 0
        reasons = []
        if end is None:
            reasons.append("it has no end line: the run was killed, or the disk filled up")
        elif end.status != "complete":
            reasons.append(f"the run {_told(end.status, end.reason)}")
        damaged = evidence.columns.damaged
        if damaged:
            reasons.append(f"{len(damaged):,} lines can't be read ({'; '.join(damaged.told())})")
        if missing > 0:
            reasons.append(f"{missing:,} rounds are missing")
        if not reasons:
            return Clear(detectable=f"one missing round of {recorded:,}")
        finding = Finding(
            message="the capture is incomplete: " + "; ".join(reasons),
            measures=(
                Measure(name="rounds recorded", value=recorded),
                Measure(name="lines damaged", value=len(damaged)),
            ),
            remedy="record again before trusting totals; rates of what is there stand",
        )
        return Found(finding=finding)


def _told(status: str, reason: str | None) -> str:
    how = "was interrupted" if status == "interrupted" else status
    return f"{how} ({reason})" if reason else how
