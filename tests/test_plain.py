"""Foreign text on a terminal."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import HOSTILE
from specprof.plain import escape_json, plain


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_nothing_unprintable_is_left(text):
    """No text moves the cursor, colours, ends the line or turns the direction."""
    assert plain(text).isprintable()
    plain(text).encode("utf-8")


@pytest.mark.parametrize("text", ["", "a draft", "Größe 14", "日本語", "🦙"])
def test_ordinary_text_is_left_alone(text):
    """What can be printed is printed."""
    assert plain(text) == text


def test_what_was_there_can_be_seen():
    """A control is shown, not dropped: the reader learns that the text tried to use it."""
    assert plain(HOSTILE).startswith(r"\x1b[31m=cmd")
    assert r"\u202e" in plain(HOSTILE)


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Co"])))
def test_json_means_the_same_and_prints_safely(text):
    """The document reads back equal, and nothing in it can steer a terminal."""
    told = escape_json(msgspec.json.encode({text: [text]}))
    assert json.loads(told) == {text: [text]}
    assert told.decode("utf-8").isprintable()
