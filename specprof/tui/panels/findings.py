"""The diagnosis so far: its sentence, then each finding with a short text."""

from specprof.diagnosis.diagnose import Diagnosis
from specprof.diagnosis.verdict import Verdict
from specprof.findings import Clear, Crashed, Explained, Family, Unknown
from specprof.tui.figures import count
from specprof.tui.panels.sentences import NO_FINDINGS_YET, NOTHING_MATCHES
from specprof.tui.sheet import Ink, Sheet, safe, wrap_text
from specprof.tui.snapshot import Snapshot

MARKS: dict[Family, tuple[str, Ink]] = {
    "bug": ("▲", "bad"),
    "measurement": ("?", "warn"),
    "configuration": ("●", "warn"),
    "mismatch": ("●", "warn"),
    "cost": ("●", "plain"),
}


def draw_findings(sheet: Sheet, snapshot: Snapshot) -> None:
    """Draw the panel."""
    if snapshot.diagnosis is None:
        return sheet.write_sentence(NO_FINDINGS_YET)
    row = 0
    if not snapshot.needle:
        row = _write_wrapped(sheet, 0, 0, snapshot.diagnosis.sentence, "strong")
    elif not snapshot.found:
        row = _write_wrapped(sheet, 0, 0, f"{NOTHING_MATCHES} “{snapshot.needle}”.", "dim")
    for verdict in snapshot.found:
        row = _draw_verdict(sheet, row, verdict)
    _write_wrapped(sheet, 0, row, tally(snapshot.diagnosis, snapshot.judged), "dim")
    return None


def tally(diagnosis: Diagnosis, rounds: int) -> str:
    """Return a line with the number of rules by outcome, and the rounds judged."""
    outcomes = [verdict.outcome for verdict in diagnosis.verdicts]
    explained, clear, unknown, crashed = (
        sum(isinstance(one, kind) for one in outcomes)
        for kind in (Explained, Clear, Unknown, Crashed)
    )
    text = f"{len(diagnosis.found)} found, "
    text += f"{explained} explained by them, " if explained else ""
    text += f"{clear} clear, {unknown} unknown"
    text += f", {crashed} crashed" if crashed else ""
    return f"{text}; {count(rounds)} rounds judged"


def _draw_verdict(sheet: Sheet, row: int, verdict: Verdict) -> int:
    sign, ink = MARKS[verdict.family]
    sheet.write(0, row, sign, ink)
    x = sheet.write(2, row, safe(verdict.rule), ink)
    sheet.write(x + 1, row, verdict.family, "dim")
    return _write_wrapped(
        sheet, 2, row + 1, verdict.finding.message if verdict.finding else "", "plain"
    )


def _write_wrapped(sheet: Sheet, x: int, row: int, text: str, ink: Ink) -> int:
    lines = wrap_text(safe(text), max(sheet.width - x, 1))
    for offset, line in enumerate(lines):
        sheet.write(x, row + offset, line, ink)
    return row + len(lines)
