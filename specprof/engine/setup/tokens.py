"""Turn a text into token ids within a time limit: a tokenizer's patterns may take days.

Nothing stops the library under transformers' tokenizers, not even Ctrl-C, but it lets other threads
run. So a thread of its own tokenises, and the caller waits for that thread until the limit.
"""

import threading
from typing import Any

from specprof.errors import EnvironmentMissing, summarise_error
from specprof.narration import log_compiled_code

MAX_WAIT_S = 60.0
"""The limit for a short text."""
CHARACTERS_PER_S = 20_000
"""A text may take one second more for this many characters; a slow machine does ten times as many
in a second."""
HINT = "a pattern of its tokenizer.json may never end: check it, or use another model"
_given_up = list[threading.Thread]()
"""Threads past their limit; they run until the process ends."""


def token_ids(tokenizer: Any, text: str) -> Any:  # noqa: ANN401 - transformers is untyped
    """Return the token ids of a text.

    Raises EnvironmentMissing if the tokenizer takes too long or the library panics; other errors of
    the tokenizer are raised unchanged.
    """
    refuse_running_tokenizer()
    made, raised = list[Any](), list[BaseException]()

    def tokenise() -> None:
        try:
            made.append(tokenizer(text, verbose=False)["input_ids"])
        except BaseException as trouble:  # noqa: BLE001 - it is raised again, in the other thread
            raised.append(trouble)

    thread = threading.Thread(target=tokenise, name="tokenise", daemon=True)
    most_s = MAX_WAIT_S + len(text) / CHARACTERS_PER_S
    with log_compiled_code():
        thread.start()
        thread.join(most_s)
    if thread.is_alive():
        _given_up.append(thread)
        title = f"its tokenizer takes more than {most_s:.0f} s for {len(text):,} characters"
        raise EnvironmentMissing(title, HINT)
    if raised and not isinstance(raised[0], Exception):  # a panic of Rust's is no Exception
        title = f"its tokenizer can't read a text: {summarise_error(raised[0])}"
        raise EnvironmentMissing(title, HINT) from raised[0]
    if raised:
        raise raised[0]
    return made[0]


def refuse_running_tokenizer() -> None:
    """Raise EnvironmentMissing if a tokenizer past its limit still runs: it would slow the run."""
    if any(each.is_alive() for each in _given_up):
        title = "a tokenizer that was given up still runs in this process"
        raise EnvironmentMissing(title, "start again without the model that it belongs to")
