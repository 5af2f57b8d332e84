"""A tokenizer's file, looked at before a library loads it: what it may make of a short text.

Knows JSON; neither models nor the library. A few steps that each put a long text in the place of a
letter make gigabytes of a word, and the library then ends the process.
"""

from typing import Any

import msgspec

STEPS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
"""Parts of the file that change a text."""
MOST_TIMES = 64
"""As long as a part may make a text; real ones put a sign of three bytes for a space."""
_PUT = {"Replace": "content", "Prepend": "prepend", "Append": "append"}
"""Steps that put a text of their own in, and where it stands."""


def trouble_with(written: str) -> str | None:
    """Return what is wrong with the text of a `tokenizer.json`; None where nothing is seen.

    What is no JSON, or has another form, is left to the library to refuse.
    """
    try:
        whole = msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError):
        return None
    for part in STEPS if isinstance(whole, dict) else ():
        times = _times(whole.get(part))
        if times > MOST_TIMES:
            return f"its {part} can make a text more than {MOST_TIMES} times as long"
    return None


def _times(step: Any) -> int:  # noqa: ANN401 - any JSON
    """Return how many times as long a step, with all in it, can make a text at most."""
    if isinstance(step, list):
        times = 1
        for each in step:
            times = min(times * _times(each), MOST_TIMES + 1)
        return times
    if not isinstance(step, dict):
        return 1
    put = step.get(_PUT.get(str(step.get("type")), ""))
    own = 1 + len(put) if isinstance(put, str) and step.get("type") != "Replace" else 1
    own = max(own, len(put)) if isinstance(put, str) else own
    inner = _times([value for value in step.values() if isinstance(value, list | dict)])
    return min(own * inner, MOST_TIMES + 1)
