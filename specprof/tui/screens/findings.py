"""The findings screen: what every rule said, the found ones with their numbers and remedies."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from specprof.diagnosis.diagnose import Verdict
from specprof.findings import Clear, Crashed, Finding, Found, Measure, Unknown
from specprof.tui.figures import count
from specprof.tui.keys import close_keys
from specprof.tui.panels.findings import MARKS, tally
from specprof.tui.panels.sentences import NO_FINDINGS_YET
from specprof.tui.sheet import safe
from specprof.tui.snapshot import Snapshot


class FindingsScreen(ModalScreen[None]):
    """Shows all outcomes over the recording so far; scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [*close_keys("escape,d,q", "findings.close")]

    def compose(self) -> ComposeResult:
        """Lay the findings out."""
        with VerticalScroll(id="findings") as scroll:
            scroll.border_title = "findings so far"
            scroll.border_subtitle = "esc closes"
            yield Static(id="outcomes")

    def on_mount(self) -> None:
        """Show what is known now and whatever comes."""
        self.watch(self.app, "snapshot", self._take)

    def _take(self, snapshot: Snapshot) -> None:
        self.query_one("#outcomes", Static).update(described(snapshot))


def described(snapshot: Snapshot) -> Content:
    """Return the diagnosis in words: the sentence, then found, clear and what can't be said."""
    diagnosis = snapshot.diagnosis
    if diagnosis is None:
        return Content(NO_FINDINGS_YET)
    head = Content.assemble(
        (safe(diagnosis.sentence), "bold"), "\n", tally(diagnosis, snapshot.judged)
    )
    found = [_found(verdict, verdict.finding) for verdict in snapshot.found if verdict.finding]
    others = [line for verdict in diagnosis.verdicts if (line := _line(verdict)) is not None]
    return Content("\n\n").join([head, *found, Content("\n").join(others)])


def _found(verdict: Verdict, finding: Finding) -> Content:
    sign, _ = MARKS[verdict.family]
    lines = [
        Content.assemble(
            (f"{sign} {safe(verdict.rule)} ", "bold $error"), (verdict.family, "$text-muted")
        ),
        Content(f"  {safe(finding.message)}"),
        *(Content.styled(f"  {_measure(each)}", "$text-muted") for each in finding.measures),
        Content.assemble(("  do   ", "bold $success"), safe(finding.remedy)),
        *(Content.assemble(("  try  ", "bold $primary"), safe(each)) for each in finding.confirm),
    ]
    return Content("\n").join(lines)


def _measure(measure: Measure) -> str:
    text = f"{safe(measure.name)}: {measure.value:.4g} {safe(measure.unit)}".rstrip()
    if measure.low is not None and measure.high is not None:
        text += f", {measure.low:.4g} to {measure.high:.4g}"
    return text if measure.n is None else f"{text}, n = {count(measure.n)}"


def _line(verdict: Verdict) -> Content | None:
    match verdict.outcome:
        case Found():
            return None
        case Clear(detectable=said):
            sign, style = "✓", "$success"
        case Unknown(reason=said):
            sign, style = "–", "$text-muted"
        case Crashed(error=said):
            sign, style = "×", "$error"
    return Content.assemble((f"{sign} {safe(verdict.rule)}  ", style), (safe(said), "$text-muted"))
