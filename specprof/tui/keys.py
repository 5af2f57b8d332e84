"""Every key of the dashboard, with a word for the footer and a sentence for the help screen.

Knows the names of actions; the screens and the app define the actions.
"""

from textual.binding import Binding

from specprof.tui.panels import DRAWINGS, LOG


def _bind(keys: str, action: str, name: str, tooltip: str, *, id: str, sign: str = "") -> Binding:  # noqa: A002 - Textual's
    """Return a binding that the footer shows as `sign`; without a sign only the help lists it."""
    return Binding(
        keys, action, name, show=bool(sign), key_display=sign or None, tooltip=tooltip, id=id
    )


APP_KEYS = [
    # With priority over the focused widget: Ctrl-C must always close the dashboard.
    Binding(
        "ctrl+c", "quit", "quit", show=False, priority=True, tooltip="Close, like q", id="interrupt"
    )
]
DASHBOARD_KEYS = [
    _bind(
        "q",
        "app.quit",
        "quit",
        "Close. A run that this command started is stopped; its capture is kept",
        id="quit",
        sign="q",
    ),
    _bind(
        "question_mark",
        "app.help",
        "help",
        "Explain keys, panels and rates",
        id="help",
        sign="?",
    ),
    _bind(
        "space,p",
        "app.pause",
        "pause",
        "Pause or resume the display; recording never pauses",
        id="pause",
        sign="space",
    ),
    _bind(
        "d",
        "app.findings",
        "findings",
        "Show what every rule found and advises",
        id="findings",
        sign="d",
    ),
    _bind(
        "r",
        "app.replay",
        "replay",
        "Replay from the start, at the recorded pace",
        id="replay",
        sign="r",
    ),
    _bind(
        "S",
        "app.faster",
        "speed",
        "Choose the next replay speed, 1 to 256 times",
        id="speed",
        sign="S",
    ),
    _bind(
        "left_square_bracket",
        "app.step(-1)",
        "back",
        "Pause the display one round earlier",
        id="step.back",
    ),
    _bind(
        "right_square_bracket",
        "app.step(1)",
        "forward",
        "Pause the display one round later",
        id="step.on",
    ),
    _bind(
        "plus,equals_sign",
        "app.refresh(1)",
        "faster",
        "Update the screen more often, up to 20 times a second",
        id="refresh.faster",
    ),
    _bind(
        "minus",
        "app.refresh(-1)",
        "slower",
        "Update the screen less often, down to once a second",
        id="refresh.slower",
    ),
    *(
        _bind(str(number), f"panel({number})", one.name, one.about, id=f"panel.{number}")
        for number, one in DRAWINGS.items()
        if number != LOG
    ),
    _bind("1-7", "panels", "panels", "Show or hide a panel", id="panels", sign="1-7"),
    _bind(
        "m", "maximise", "maximise", "Give the focused panel the whole screen", id="max", sign="m"
    ),
    _bind("l", f"panel({LOG})", "log", "Show or hide the log of the run", id="log", sign="l"),
    _bind(
        "slash",
        "filter",
        "filter",
        "Show only rounds and findings that contain a text",
        id="filter",
        sign="/",
    ),
    _bind(
        "escape",
        "back",
        "back",
        "Leave the filter, the maximised panel, the pause or the replay",
        id="back",
    ),
]


FINDINGS_KEYS = [
    _bind(
        "enter,g",
        "go",
        "go",
        "Go to the first round that shows the chosen finding",
        id="findings.go",
        sign="g",
    ),
    _bind("n", "choose(1)", "next", "Choose the next finding", id="findings.next", sign="n"),
    _bind("N", "choose(-1)", "previous", "Choose the previous finding", id="findings.before"),
]


def close_keys(keys: str, id: str) -> list[Binding]:  # noqa: A002 - Textual's
    """Return the keys that close a screen which covers the panels."""
    return [_bind(keys, "dismiss", "close", "Back to the panels", id=id, sign="esc")]
