"""Escapes text from models, prompts, captures and file names, so that it is safe to print.

Knows characters, not where they are shown: markup, HTML and spreadsheets need more escapes.
"""

import json
from typing import Any

import msgspec

MAX_BRIEF_CHARS = 160
"""Characters of foreign text in a sentence: a name may be a megabyte long."""


def plain(text: str) -> str:
    r"""Return `text` on one line, with each character that could steer a terminal as `\x1b`.

    These are the characters that Unicode calls unprintable: controls, line ends, direction
    overrides, lone surrogates.
    """
    return "".join(sign if sign.isprintable() else _escape(sign) for sign in text)


def brief(text: str, most: int = MAX_BRIEF_CHARS) -> str:
    """Return foreign text for a sentence: on one line, escaped, an ellipsis for what is cut.

    At most `most` characters are kept, counted before escaping.
    """
    return plain(text) if len(text) <= most else f"{plain(text[: most - 1])}…"


def format_count(number: int, name: str, plural: str | None = None) -> str:
    """Return `1 damaged line`, `1,200 damaged lines`."""
    return f"{number:,} {name if number == 1 else plural or name + 's'}"


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def as_json(value: object) -> bytes:
    r"""Return a value as JSON; bytes of a file's name that are no UTF-8 become `\udcff`.

    The system's names are bytes. Python holds bytes that are no UTF-8 as half characters.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_make_encodable(msgspec.to_builtins(value)))


def make_encodable(text: str) -> str:
    r"""Return a text that can be written as UTF-8: half characters become `\udcff`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _make_encodable(value: Any) -> Any:  # noqa: ANN401 - plain JSON, of any shape
    if isinstance(value, str):
        return make_encodable(value)
    if isinstance(value, dict):
        return {_make_encodable(key): _make_encodable(each) for key, each in value.items()}
    return [_make_encodable(each) for each in value] if isinstance(value, list) else value


def escape_json(encoded: bytes) -> bytes:
    """Return a JSON document with every unprintable character of its texts escaped.

    JSON must escape only the first 32 of them; terminals heed more.
    """
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    signs = encoded.decode("utf-8")
    safe = (s if s.isprintable() or s == "\n" else json.dumps(s)[1:-1] for s in signs)
    return "".join(safe).replace("\x7f", "\\u007f").encode("utf-8")
