"""Checks a tokenizer's file before a library loads it: whether it could hang or end the process.

Knows JSON; neither models nor the library. Several steps that each replace a letter by a long text
turn a word into gigabytes, and the library then ends the process. A pattern that can match in very
many ways takes half a second for each letter, and the library can't be interrupted meanwhile.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from specprof.plain import brief

TEXT_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
"""Parts of the file that change a text."""
MAX_GROWTH = 64
"""How many times as long a part may make a text; real parts put three bytes for a space."""
_IN_PLACE, _BESIDE = ("content",), ("prepend", "append")
"""Keys of the text that a step inserts: in place of a match, or beside the text. A step's `type` is
not looked at: if it is missing or unknown, the library goes by these keys alone."""
MOST_STEPS = 1000
"""JSON objects in one part; real parts have a few dozen."""
MAX_PATTERN_CHARS = 200
"""Characters of a pattern; a longer one is refused unread."""
MAX_ADDED_CHARS = 1000
"""Characters of an added token: the normaliser reads them while a tokenizer is loaded."""
PARTS_WITH_PATTERNS = ("normalizer", "decoder")
"""Parts whose patterns are matched when nothing can stop it: the library passes added tokens
through the first as it loads, and single tokens through the second."""
_SIGN = (
    r"(?:\\[pP]\{\^?\w+\}|\\x\{[0-9a-fA-F]+\}|\\[^0-9gkXyY]"
    r"|\[\^?(?:\[:\^?\w+:\]|\\.|[^\[\]\\])+\]|[^\\\[\](){}*+?|])"
)
_ATOM = rf"(?:{_SIGN}|\((?:\?(?::|<?[=!]))?{_SIGN}+\))"
"""One character, or a group of characters without repetitions and alternatives."""
_ALTERNATIVE = rf"{_ATOM}*(?:{_ATOM}(?:[*+?]|\{{\d{{1,3}}(?:,\d{{0,3}})?\}}){_ATOM}*)?"
_is_quick = re.compile(rf"{_ALTERNATIVE}(?:\|{_ALTERNATIVE})*", re.DOTALL).fullmatch
"""Matches patterns with at most one repetition in each alternative: they try nothing twice."""
_UNUSED_BY_DECODING = ("normalizer", "pre_tokenizer", "post_processor")


def find_trouble(written: str) -> str | None:
    """Return what is wrong with the text of a `tokenizer.json`; None if nothing was found.

    A text that is no JSON, or has another form, is left to the library to refuse.
    """
    try:
        whole = msgspec.json.decode(written)
        if not isinstance(whole, dict):
            return None
        found = (_find_part_trouble(part, whole.get(part)) for part in TEXT_PARTS)
        return next((each for each in found if each), None) or find_added_trouble(whole)
    except (msgspec.DecodeError, RecursionError):
        return None


def find_added_trouble(whole: dict[str, Any]) -> str | None:
    """Return what is wrong with the added tokens of a tokenizer's file, or of its configuration."""
    added = [whole.get("added_tokens"), whole.get("added_tokens_decoder")]
    longest = max((len(each) for each in _values("content", added)), default=0)
    if longest > MAX_ADDED_CHARS:
        return f"an added token has {longest:,} characters; at most {MAX_ADDED_CHARS:,} are allowed"
    return None


def keep_decoder_only(written: str) -> str | None:
    """Return a `tokenizer.json` without the parts that decoding does not use, to save time.

    None if its decoder has a pattern. Raises msgspec.DecodeError if the text is no JSON object.
    """
    parts = msgspec.json.decode(written, type=dict[str, msgspec.Raw])
    decoder = msgspec.json.decode(parts.get("decoder", b"null"))
    if any(True for _ in _values("Regex", decoder)):
        return None
    nothing = msgspec.Raw(b"null")
    return msgspec.json.encode(parts | dict.fromkeys(_UNUSED_BY_DECODING, nothing)).decode()


def _find_part_trouble(part: str, step: Any) -> str | None:  # noqa: ANN401 - any JSON
    if _max_growth(step) > MAX_GROWTH:
        return f"its {part} can make a text more than {MAX_GROWTH} times as long"
    if sum(1 for _ in _objects(step)) > MOST_STEPS:
        return f"its {part} has more than {MOST_STEPS} steps"
    patterns = _values("Regex", step) if part in PARTS_WITH_PATTERNS else ()
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN_CHARS or not _is_quick(pattern):
            return f"its {part} has a pattern that may take hours: {brief(pattern)}"
    return None


def _values(key: str, step: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the texts that a key has in this step, or anywhere inside it."""
    return (each[key] for each in _objects(step) if isinstance(each.get(key), str))


def _objects(step: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yield each JSON object in this step, itself first."""
    if isinstance(step, dict):
        yield step
    inner = step.values() if isinstance(step, dict) else step if isinstance(step, list) else ()
    for each in inner:
        yield from _objects(each)


def _max_growth(step: Any) -> int:  # noqa: ANN401 - any JSON
    """Return how many times as long a step, with the steps inside it, can make a text at most."""
    if isinstance(step, list):
        times = 1
        for each in step:
            times = min(times * _max_growth(each), MAX_GROWTH + 1)
        return times
    if not isinstance(step, dict):
        return 1
    own = max([1, *_lengths(step, _IN_PLACE), *(1 + each for each in _lengths(step, _BESIDE))])
    inner = _max_growth([value for value in step.values() if isinstance(value, list | dict)])
    return min(own * inner, MAX_GROWTH + 1)


def _lengths(step: dict[str, Any], keys: tuple[str, ...]) -> list[int]:
    """Return the lengths of the texts that some keys of a step have."""
    return [len(step[key]) for key in keys if isinstance(step.get(key), str)]
