"""The findings screen: what every rule said, the found ones with their numbers and remedies.

One of those found is chosen; it leads back to the round that shows it first.
"""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static

from specprof.diagnosis.diagnose import Verdict
from specprof.diagnosis.lines import first_round
from specprof.diagnosis.report import placed, remedy, suspected
from specprof.findings import Clear, Crashed, Finding, Found, Measure, Unknown
from specprof.tui.figures import count
from specprof.tui.keys import FINDINGS_KEYS, close_keys
from specprof.tui.panels.findings import MARKS, tally
from specprof.tui.panels.sentences import NO_FINDINGS_YET
from specprof.tui.sheet import safe
from specprof.tui.snapshot import Snapshot

CHOSEN = "> "


class FindingsScreen(ModalScreen[int | None]):
    """Shows all outcomes over the recording so far; scrolls.

    Returns the index of the round to go to, or None where it was merely closed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *FINDINGS_KEYS,
        *close_keys("escape,d,q", "findings.close"),
    ]

    chosen: reactive[int] = reactive(0)
    """Which of the findings, in the order shown."""

    def compose(self) -> ComposeResult:
        """Lay the findings out."""
        with VerticalScroll(id="findings") as scroll:
            scroll.border_title = "findings so far"
            scroll.border_subtitle = "n chooses, g goes to its round, esc closes"
            yield Static(id="outcomes")

    def on_mount(self) -> None:
        """Show what is known now and whatever comes."""
        self.watch(self.app, "snapshot", self._take)

    def action_choose(self, by: int) -> None:
        """Choose another of the findings; behind the last comes the first."""
        self.chosen = (self.chosen + by) % max(len(self._snapshot.found), 1)
        self._take(self._snapshot)

    def action_go(self) -> None:
        """Close, and go to the round of the chosen finding; one of the whole run has none."""
        found = self._snapshot.found
        finding = found[min(self.chosen, len(found) - 1)].finding if found else None
        index = first_round(finding) if finding else None
        if index is None:
            self.notify("this finding is of the run as a whole", timeout=2)
        else:
            self.dismiss(index)

    @property
    def _snapshot(self) -> Snapshot:
        snapshot: Snapshot = getattr(self.app, "snapshot")  # noqa: B009 - any app that has one
        return snapshot

    def _take(self, snapshot: Snapshot) -> None:
        self.query_one("#outcomes", Static).update(described(snapshot, self.chosen))


def described(snapshot: Snapshot, chosen: int = 0) -> Content:
    """Return the diagnosis in words: the sentence, then found, clear and what can't be said."""
    diagnosis = snapshot.diagnosis
    if diagnosis is None:
        return Content(NO_FINDINGS_YET)
    head = Content.assemble(
        (safe(diagnosis.sentence), "bold"), "\n", tally(diagnosis, snapshot.judged)
    )
    last = len(snapshot.found) - 1
    found = [
        _found(verdict, verdict.finding, chosen=number == min(chosen, last))
        for number, verdict in enumerate(snapshot.found)
        if verdict.finding
    ]
    others = [line for verdict in diagnosis.verdicts if (line := _line(verdict)) is not None]
    return Content("\n\n").join([head, *found, Content("\n").join(others)])


def _found(verdict: Verdict, finding: Finding, *, chosen: bool) -> Content:
    sign, _ = MARKS[verdict.family]
    opening = f"{CHOSEN if chosen else ''}{sign} {safe(verdict.rule)} "
    lines = [
        Content.assemble((opening, "bold $error"), (verdict.family, "$text-muted")),
        Content(f"  {safe(finding.message)}"),
        *(Content.styled(f"  like {safe(each)}", "$text-muted") for each in suspected(finding)),
        *(Content.styled(f"  {_measure(each)}", "$text-muted") for each in finding.measures),
        *([Content(f"  at   {safe(placed(finding.where))}")] if finding.where else []),
        Content.assemble(("  do   ", "bold $success"), safe(remedy(finding))),
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
