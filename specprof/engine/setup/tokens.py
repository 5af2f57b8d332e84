"""A text becomes token ids, or is given up: a tokenizer may have patterns that take days of it.

Knows tokenizers as transformers has them. Nothing stops the library they rest on, not even a
Ctrl-C, but it lets other threads go on: so one of its own tokenises, and is waited for.
"""

import threading
from typing import Any

from specprof.errors import EnvironmentMissing, in_a_line
from specprof.narration import compiled_aside

LONGEST_S = 60.0
"""Waited for any text."""
CHARACTERS_S = 20_000
"""More characters, one second more: a slow machine does ten times as many."""
HINT = "a pattern of its tokenizer.json may never end: look at it, or use another model"
_given_up = list[threading.Thread]()
"""They go on until the process ends."""


def token_ids(tokenizer: Any, text: str) -> Any:  # noqa: ANN401 - transformers is untyped
    """Return what a tokenizer makes of a text.

    Raises EnvironmentMissing where it takes far too long, or the library panics; else what the
    tokenizer raises.
    """
    refuse_beside_another()
    made, raised = list[Any](), list[BaseException]()

    def tokenise() -> None:
        try:
            made.append(tokenizer(text, verbose=False)["input_ids"])
        except BaseException as trouble:  # noqa: BLE001 - it is raised again, in the other thread
            raised.append(trouble)

    thread = threading.Thread(target=tokenise, name="tokenise", daemon=True)
    most_s = LONGEST_S + len(text) / CHARACTERS_S
    with compiled_aside():
        thread.start()
        thread.join(most_s)
    if thread.is_alive():
        _given_up.append(thread)
        title = f"its tokenizer takes more than {most_s:.0f} s for {len(text):,} characters"
        raise EnvironmentMissing(title, HINT)
    if raised and not isinstance(raised[0], Exception):  # a panic of Rust's is none
        title = f"its tokenizer can't read a text: {in_a_line(raised[0])}"
        raise EnvironmentMissing(title, HINT) from raised[0]
    if raised:
        raise raised[0]
    return made[0]


def refuse_beside_another() -> None:
    """Refuse to go on beside a tokenizer that was given up: it would take time from what is timed.

    Raises EnvironmentMissing.
    """
    if any(each.is_alive() for each in _given_up):
        title = "a tokenizer that was given up still runs in this process"
        raise EnvironmentMissing(title, "start again without the model that it belongs to")
