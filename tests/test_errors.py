"""Errors: their texts and their exit codes."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specprof import errors
from specprof.errors import SpecprofError, UnknownName, sort_by_likeness

CHILDREN = [
    thing
    for thing in vars(errors).values()
    if isinstance(thing, type) and issubclass(thing, SpecprofError)
]


def test_the_drawn_tree_is_the_tree():
    """The module's docstring draws every class, under its base, with its exit code."""
    drawn = re.findall(r"^\W*(\w+)\s+(\d)\s", errors.__doc__, re.MULTILINE)
    assert {name: int(code) for name, code in drawn} == {
        each.__name__: each.exit_code for each in CHILDREN
    }


@pytest.mark.parametrize("kind", CHILDREN)
def test_an_error_says_what_and_what_to_do(kind):
    """Its text has both the title and the hint."""
    error = kind("thing", "a", ["b"]) if kind is UnknownName else kind("asked and found", "do this")
    assert error.title in str(error)
    assert error.hint in str(error)


@given(st.text(max_size=8), st.lists(st.text(max_size=8), unique=True, max_size=6))
def test_the_nearest_are_all_that_is_known(asked, known):
    """Every known name is listed, and an exact match comes first."""
    assert sorted(sort_by_likeness(asked, known)) == sorted(known)
    assert sort_by_likeness(asked, [*known, asked])[0].lower() == asked.lower()


def test_an_error_ends_the_command_in_two_lines():
    """On stderr: title and hint, no traceback; stdout is empty; the exit code is the class's."""
    command = [sys.executable, "-m", "specprof", "export", "csv", "no\x1b[31m-such.jsonl"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == errors.CaptureUnreadable.exit_code
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 2
    assert "\x1b" not in ended.stderr


def test_of_very_many_names_the_nearest_are_listed():
    """A page of names would hide the right one; a name with a comma stays one name."""
    few = UnknownName("drill", "gredy", ["greedy", "greedy, dense", "hot"])
    assert few.hint == "known: greedy, 'greedy, dense', hot"
    many = UnknownName("case", "kv/b", [f"kv/{each}" for each in "abcdefghij" * 5])
    assert many.hint.startswith("known: kv/b, ")
    assert many.hint.endswith(", and 38 more")


@pytest.mark.parametrize(
    ("error", "shown", "plainly"),
    [
        (ValueError("first\nsecond"), "ValueError: first", "first"),
        (ValueError("field 'a':\n   wrong"), "ValueError: field 'a': wrong", "field 'a': wrong"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 300 + "...", "x" * 300 + "..."),
        (SystemExit(3), "it called sys.exit(3)", "it called sys.exit(3)"),
    ],
)
def test_any_error_fits_on_one_line(error, shown, plainly):
    """The line has the error's kind, unless its text says enough."""
    assert errors.summarise_error(error) == shown
    assert errors.summarise_error(error, (ValueError,)) == plainly


def test_a_name_of_ten_kilobytes_does_not_fill_the_screen():
    """The name, and the known ones, may come from a stranger's file; nothing raw is printed."""
    error = UnknownName("rule", "x\x1b" * 5000, ["y" * 10_000, "short"])
    assert len(str(error)) < 1000
    assert "short" in error.hint
    assert "\x1b" not in str(error)


def test_a_name_out_of_a_file_may_be_of_any_length():
    """It is cut in the message, and compared quickly by its beginning."""
    trouble = UnknownName("drafter", "draft-modle" + 10**6 * "\x1b", ["draft-model", "x" * 10**6])
    assert len(trouble.title) < 1000
    assert len(trouble.hint) < 400
    assert trouble.title.isprintable()
    assert trouble.hint.startswith("known: draft-model, ")
