"""The findings screen: the outcome of every rule, findings with their numbers and remedies.

One finding is chosen. A key leads from it to the first round that shows it.
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

from specprof.diagnosis.lines import first_round
from specprof.diagnosis.report import format_place, remedy, suspect_titles
from specprof.diagnosis.verdict import Verdict
from specprof.findings import Clear, Crashed, Explained, Finding, Found, Measure, Unknown
from specprof.tui.figures import count
from specprof.tui.keys import FINDINGS_KEYS, close_keys
from specprof.tui.panels.findings import MARKS, tally
from specprof.tui.panels.sentences import NO_FINDINGS_YET
from specprof.tui.sheet import safe
from specprof.tui.snapshot import Snapshot

CHOSEN_MARK = "> "
PARTS = ("before", "chosen", "after")
"""The text in three widgets, so that the screen can scroll to the chosen finding."""
CLOSE_TEXT = "esc: close"


class FindingsScreen(ModalScreen[int | None]):
    """Shows the outcomes of all rules on the recording so far; it scrolls.

    Returns the index of the round to go to, or None where the user only closed it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *FINDINGS_KEYS,
        *close_keys("escape,d,q", "findings.close"),
    ]

    chosen: reactive[int] = reactive(0)
    """Number of the chosen finding, in the order shown."""

    def compose(self) -> ComposeResult:
        """Create the three texts in a scrolling area."""
        with VerticalScroll(id="findings") as scroll:
            scroll.border_title = "findings so far"
            for part in PARTS:
                yield Static(id=part)

    def on_mount(self) -> None:
        """Show the present snapshot and every later one."""
        self._moved = False
        self.screen_layout_refresh_signal.subscribe(self, self._scroll_to_chosen)
        self.watch(self.app, "snapshot", self._show_snapshot)

    def action_choose(self, by: int) -> None:
        """Choose another finding and scroll to it; the first follows the last."""
        found = self._snapshot.found
        self.chosen = (min(self.chosen, max(len(found) - 1, 0)) + by) % max(len(found), 1)
        self._moved = True
        self._show_snapshot(self._snapshot)

    def _scroll_to_chosen(self, _: Screen[None]) -> None:
        """Scroll to the chosen finding, after the layout has given it its new place."""
        if self._moved:
            self._moved = False
            self.query_one("#findings").scroll_to_widget(self.query_one("#chosen"), animate=False)

    def action_go(self) -> None:
        """Close, and go to the round of the chosen finding; notify the user if it has no round."""
        verdict = chosen_verdict(self._snapshot, self.chosen)
        index = first_round(verdict.finding) if verdict and verdict.finding else None
        if index is not None:
            self.dismiss(index)
        elif verdict is None:
            self.notify("there is no finding, so no round to go to", severity="warning")
        else:
            text = f"{safe(verdict.rule)} is about the whole run: there is no round to go to"
            self.notify(text, severity="warning", markup=False)

    @property
    def _snapshot(self) -> Snapshot:
        snapshot: Snapshot = getattr(self.app, "snapshot")  # noqa: B009 - any app that has one
        return snapshot

    def _show_snapshot(self, snapshot: Snapshot) -> None:
        for part, content in zip(PARTS, describe_diagnosis(snapshot, self.chosen), strict=True):
            place = self.query_one(f"#{part}", Static)
            place.update(content)
            place.display = bool(content)
        self.query_one("#findings").border_subtitle = describe_keys(snapshot, self.chosen)


def chosen_verdict(snapshot: Snapshot, chosen: int) -> Verdict | None:
    """Return the chosen finding; None where nothing is found."""
    found = snapshot.found
    return found[min(chosen, len(found) - 1)] if found else None


def describe_keys(snapshot: Snapshot, chosen: int) -> str:
    """Return a line on what the keys do with the chosen finding."""
    verdict = chosen_verdict(snapshot, chosen)
    if verdict is None or verdict.finding is None:
        return CLOSE_TEXT
    index = first_round(verdict.finding)
    goes = "g: no round (whole run)" if index is None else f"g: go to round {index}"
    return f"n: next finding, {goes}, {CLOSE_TEXT}"


def describe_diagnosis(snapshot: Snapshot, chosen: int = 0) -> tuple[Content, Content, Content]:
    """Return the diagnosis as text in three parts: before, of and after the chosen finding.

    The order is: the sentence, findings, then clear, unknown and crashed rules as they come.
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
        _describe_finding(
            verdict, verdict.finding, diagnosis.explained(verdict), chosen=number == at
        )
        for number, verdict in enumerate(snapshot.found)
        if verdict.finding
    ]
    others = [
        line for verdict in diagnosis.verdicts if (line := _describe_outcome(verdict)) is not None
    ]
    close = Content("\n").join(others)
    if not found:
        return _join_apart([head, close]), Content(), Content()
    return _join_apart([head, *found[:at]]), found[at], _join_apart([*found[at + 1 :], close])


def _join_apart(parts: Sequence[Content]) -> Content:
    return Content("\n\n").join(parts)


def _describe_finding(
    verdict: Verdict, finding: Finding, explained: Sequence[Verdict], *, chosen: bool
) -> Content:
    sign, _ = MARKS[verdict.family]
    opening = f"{CHOSEN_MARK if chosen else ''}{sign} {safe(verdict.rule)} "
    lines = [
        Content.assemble((opening, "bold $error"), (verdict.family, "$text-muted")),
        Content(f"  {safe(finding.message)}"),
        *(
            Content.styled(f"  like {safe(each)}", "$text-muted")
            for each in suspect_titles(finding)
        ),
        *(
            Content.styled(f"  {_describe_measure(each)}", "$text-muted")
            for each in finding.measures
        ),
        *([Content(f"  at   {safe(format_place(finding.where))}")] if finding.where else []),
        *(
            Content.styled(
                f"  so   {safe(each.rule)}: {safe(each.consequence.message)}", "$text-muted"
            )
            for each in explained
            if each.consequence
        ),
        Content.assemble(("  do   ", "bold $success"), safe(remedy(finding))),
        *(Content.assemble(("  try  ", "bold $primary"), safe(each)) for each in finding.confirm),
    ]
    return Content("\n").join(lines)


def _describe_measure(measure: Measure) -> str:
    text = f"{safe(measure.name)}: {measure.value:.4g} {safe(measure.unit)}".rstrip()
    if measure.low is not None and measure.high is not None:
        text += f", {measure.low:.4g} to {measure.high:.4g}"
    if measure.n is None:
        return text
    return f"{text}, n = {count(measure.n)} {safe(measure.counted)}".rstrip()


def _describe_outcome(verdict: Verdict) -> Content | None:
    match verdict.outcome:
        case Found() | Explained():
            return None
        case Clear(detectable=said):
            sign, style = "✓", "$success"
        case Unknown(reason=said):
            sign, style = "–", "$text-muted"
        case Crashed(error=said):
            sign, style = "×", "$error"
    return Content.assemble((f"{sign} {safe(verdict.rule)}  ", style), (safe(said), "$text-muted"))
