"""Every key of the dashboard: what it does in a word for the footer, in a sentence for the help.

Knows names of actions; the screens and the app have them.
"""

from textual.binding import Binding

from specprof.tui.panels import DRAWINGS, LOG


def _key(keys: str, action: str, name: str, tooltip: str, *, id: str, sign: str = "") -> Binding:  # noqa: A002 - Textual's
    """Return a binding that the footer shows by `sign`; without a sign only the help does."""
    return Binding(
        keys, action, name, show=bool(sign), key_display=sign or None, tooltip=tooltip, id=id
    )


APP_KEYS = [
    # Before anything that has the focus: Ctrl-C must always lead out.
    Binding(
        "ctrl+c", "quit", "quit", show=False, priority=True, tooltip="Close, like q", id="interrupt"
    )
]
DASHBOARD_KEYS = [
    _key(
        "q",
        "app.quit",
        "quit",
        "Close; a run that is still going is stopped, and its capture kept",
        id="quit",
        sign="q",
    ),
    _key(
        "question_mark",
        "app.help",
        "help",
        "Explain keys, panels and rates",
        id="help",
        sign="?",
    ),
    _key(
        "space,p",
        "app.pause",
        "pause",
        "Hold the display, or let it go on; recording never stops",
        id="pause",
        sign="space",
    ),
    _key(
        "d", "app.findings", "findings", "What every rule said and advises", id="findings", sign="d"
    ),
    _key(
        "r",
        "app.replay",
        "replay",
        "Replay from the start at the recorded pace",
        id="replay",
        sign="r",
    ),
    _key("S", "app.faster", "speed", "Next replay speed, 1 to 256 times", id="speed", sign="S"),
    _key(
        "left_square_bracket",
        "app.step(-1)",
        "back",
        "Hold the display one round back",
        id="step.back",
    ),
    _key(
        "right_square_bracket", "app.step(1)", "on", "Hold the display one round on", id="step.on"
    ),
    _key(
        "plus,equals_sign",
        "app.refresh(1)",
        "faster",
        "Update the screen more often, up to 20 times a second",
        id="refresh.faster",
    ),
    _key(
        "minus",
        "app.refresh(-1)",
        "slower",
        "Update the screen less often, down to once a second",
        id="refresh.slower",
    ),
    *(
        _key(str(number), f"panel({number})", one.name, one.about, id=f"panel.{number}")
        for number, one in DRAWINGS.items()
        if number != LOG
    ),
    _key("1-7", "panels", "panels", "Show or hide a panel", id="panels", sign="1-7"),
    _key(
        "m", "maximise", "maximise", "Give the focused panel the whole screen", id="max", sign="m"
    ),
    _key("l", f"panel({LOG})", "log", DRAWINGS[LOG].about, id="log", sign="l"),
    _key(
        "slash",
        "filter",
        "filter",
        "Show only rounds and findings that hold a text",
        id="filter",
        sign="/",
    ),
    _key("escape", "back", "back", "End filtering, maximising, pausing, replaying", id="back"),
]


FINDINGS_KEYS = [
    _key(
        "enter,g",
        "go",
        "go",
        "Hold the display at the round that shows the chosen finding first",
        id="findings.go",
        sign="g",
    ),
    _key("n", "choose(1)", "next", "Choose the next finding", id="findings.next", sign="n"),
    _key("N", "choose(-1)", "before", "Choose the finding before", id="findings.before"),
]


def close_keys(keys: str, id: str) -> list[Binding]:  # noqa: A002 - Textual's
    """Return the keys that close a screen over the panels."""
    return [_key(keys, "dismiss", "close", "Back to the panels", id=id, sign="esc")]
