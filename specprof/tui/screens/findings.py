"""The findings screen: what every rule said, the found ones with their numbers and remedies.

One of those found is chosen; it leads back to the round that shows it first.
"""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from specprof.diagnosis.diagnose import Verdict
from specprof.diagnosis.lines import first_round
from specprof.diagnosis.report import format_place, remedy, suspect_titles
from specprof.findings import Clear, Crashed, Finding, Found, Measure, Unknown
from specprof.tui.figures import count
from specprof.tui.keys import FINDINGS_KEYS, close_keys
from specprof.tui.panels.findings import MARKS, tally
from specprof.tui.panels.sentences import NO_FINDINGS_YET
from specprof.tui.sheet import safe
from specprof.tui.snapshot import Snapshot

CHOSEN = "> "
PARTS = ("before", "chosen", "after")
"""The text in three: what is chosen can be brought into view."""
CLOSES = "esc closes"


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
            for part in PARTS:
                yield Static(id=part)

    def on_mount(self) -> None:
        """Show what is known now and whatever comes."""
        self._moved = False
        self.screen_layout_refresh_signal.subscribe(self, self._bring)
        self.watch(self.app, "snapshot", self._take)

    def action_choose(self, by: int) -> None:
        """Choose another of the findings, and bring it into view; behind the last is the first."""
        found = self._snapshot.found
        self.chosen = (min(self.chosen, max(len(found) - 1, 0)) + by) % max(len(found), 1)
        self._moved = True
        self._take(self._snapshot)

    def _bring(self, _: Screen[None]) -> None:
        """Bring the chosen finding into view, once its new place is known."""
        if self._moved:
            self._moved = False
            self.query_one("#findings").scroll_to_widget(self.query_one("#chosen"), animate=False)

    def action_go(self) -> None:
        """Close, and go to the round of the chosen finding; say why where there is none."""
        verdict = chosen_of(self._snapshot, self.chosen)
        index = first_round(verdict.finding) if verdict and verdict.finding else None
        if index is not None:
            self.dismiss(index)
        elif verdict is None:
            self.notify("nothing is found: there is no round to go to", severity="warning")
        else:
            told = f"{safe(verdict.rule)} is of the run as a whole: there is no round to go to"
            self.notify(told, severity="warning", markup=False)

    @property
    def _snapshot(self) -> Snapshot:
        snapshot: Snapshot = getattr(self.app, "snapshot")  # noqa: B009 - any app that has one
        return snapshot

    def _take(self, snapshot: Snapshot) -> None:
        for part, content in zip(PARTS, described(snapshot, self.chosen), strict=True):
            place = self.query_one(f"#{part}", Static)
            place.update(content)
            place.display = bool(content)
        self.query_one("#findings").border_subtitle = advice(snapshot, self.chosen)


def chosen_of(snapshot: Snapshot, chosen: int) -> Verdict | None:
    """Return the chosen one of the findings shown; None where nothing is found."""
    found = snapshot.found
    return found[min(chosen, len(found) - 1)] if found else None


def advice(snapshot: Snapshot, chosen: int) -> str:
    """Say what the keys do here."""
    verdict = chosen_of(snapshot, chosen)
    if verdict is None or verdict.finding is None:
        return CLOSES
    index = first_round(verdict.finding)
    goes = "of the whole run, no round" if index is None else f"g goes to round {index}"
    return f"n chooses, {goes}, {CLOSES}"


def described(snapshot: Snapshot, chosen: int = 0) -> tuple[Content, Content, Content]:
    """Return the diagnosis in words: what comes before the chosen finding, it, what comes after.

    The sentence, then found, clear and what can't be said.
    """
    diagnosis = snapshot.diagnosis
    if diagnosis is None:
        return Content(NO_FINDINGS_YET), Content(), Content()
    head = Content.assemble(
        (safe(diagnosis.sentence), "bold"), "\n", tally(diagnosis, snapshot.judged)
    )
    last = len(snapshot.found) - 1
    at = min(chosen, last)
    found = [
        _found(verdict, verdict.finding, chosen=number == at)
        for number, verdict in enumerate(snapshot.found)
        if verdict.finding
    ]
    others = [line for verdict in diagnosis.verdicts if (line := _line(verdict)) is not None]
    close = Content("\n").join(others)
    if not found:
        return _apart([head, close]), Content(), Content()
    return _apart([head, *found[:at]]), found[at], _apart([*found[at + 1 :], close])


def _apart(parts: Sequence[Content]) -> Content:
    return Content("\n\n").join(parts)


def _found(verdict: Verdict, finding: Finding, *, chosen: bool) -> Content:
    sign, _ = MARKS[verdict.family]
    opening = f"{CHOSEN if chosen else ''}{sign} {safe(verdict.rule)} "
    lines = [
        Content.assemble((opening, "bold $error"), (verdict.family, "$text-muted")),
        Content(f"  {safe(finding.message)}"),
        *(
            Content.styled(f"  like {safe(each)}", "$text-muted")
            for each in suspect_titles(finding)
        ),
        *(Content.styled(f"  {_measure(each)}", "$text-muted") for each in finding.measures),
        *([Content(f"  at   {safe(format_place(finding.where))}")] if finding.where else []),
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
