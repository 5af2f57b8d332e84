"""Two colour themes of specprof; Textual's themes can be chosen in the palette (ctrl+p).

A phase or a token's fate has one colour on every panel: blue is drafting, violet verification,
green accepted, red rejected, amber corrected, teal the bonus. Colour alone never marks a state.
"""

from textual.theme import Theme

DARK = Theme(
    name="specprof-dark",
    primary="#6cb2f7",
    secondary="#b79cf5",
    accent="#3fd0c9",
    success="#7fd17f",
    warning="#f0b957",
    error="#f47c7c",
    foreground="#d8dee6",
    background="#0f1419",
    surface="#131a21",
    panel="#1d2630",
    dark=True,
)
LIGHT = Theme(
    name="specprof-light",
    primary="#1a66b8",
    secondary="#6a3fc4",
    accent="#00757a",
    success="#22752b",
    warning="#945c00",
    error="#b3261e",
    foreground="#1c2530",
    background="#fbfbf8",
    surface="#f3f3ee",
    panel="#e4e5df",
    dark=False,
)
