"""Whatever a library raises over a checkpoint is one line with what to do; our bugs are ours."""

import json

import pytest
import torch
from transformers.utils import logging as transformers_logging

from specprof.engine.checkpoints import guard
from specprof.engine.checkpoints.files import Misfit
from specprof.engine.checkpoints.guard import explain_errors
from specprof.errors import EnvironmentMissing, UsageError
from specprof.narration import log_libraries


class Panic(BaseException):
    """As a library written in Rust raises it."""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ValueError("first\nsecond"), "can't load model 'x': first"),
        (ValueError("field 'a':\n    TypeError: not so"), "field 'a': TypeError: not so"),
        (KeyError("rope"), "KeyError: 'rope'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (RecursionError("deep"), "RecursionError: deep"),
        (AttributeError("no"), "AttributeError: no"),
        (Panic("index out of bounds"), "Panic: index out of bounds"),
        (MemoryError(), "there is not enough memory"),
        (torch.OutOfMemoryError("8 GiB"), "there is not enough memory"),
        (Misfit("it is odd"), "it is odd"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_an_error_becomes_a_line(raised, said):
    """Exit code 3, one line, the cause kept for who debugs."""
    with pytest.raises(EnvironmentMissing) as told, explain_errors("x", "do this"):
        raise raised
    assert said in told.value.title
    assert "\n" not in told.value.title
    assert told.value.hint
    assert told.value.__cause__ is raised


BUGS = ["nowhere", "(1).nowhere", "None + 1", "{}['no']", "[][0]", "1 / 0", "int('x')"]


def ours(code):
    """Return a function that runs an expression as a line of specprof's own."""
    made = {"__name__": "specprof.engine.somewhere"}
    exec(f"def called(x=None): return {code}", made)  # noqa: S102 - the test's own text
    return made["called"]


@pytest.mark.parametrize("code", BUGS)
def test_a_bug_of_ours_is_no_broken_checkpoint(code):
    """It goes through as it is, also where a library called us."""
    for call in (ours(code), lambda: torch.nn.Identity().apply(ours(code))):
        with pytest.raises(guard.BUG_ERRORS), explain_errors("x", "do this"):
            call()


def test_what_a_library_raises_where_we_call_it_is_the_library_s():
    """Compiled code leaves no line of its own."""
    with pytest.raises(EnvironmentMissing, match="RuntimeError"), explain_errors("x", "do this"):
        ours("__import__('torch').zeros(2) @ __import__('torch').zeros(3)")()
    with pytest.raises(EnvironmentMissing, match="no_such_file"), explain_errors("x", "do this"):
        ours("open('no_such_file')")()


def test_the_log_says_where_an_error_came_from(tmp_path):
    """The user sees a line; whoever debugs sees the whole of it."""
    log = tmp_path / "a.jsonl.log"
    with pytest.raises(EnvironmentMissing), log_libraries(log), explain_errors("x", "do this"):
        json.loads("{")
    assert "Traceback" in log.read_text()
    assert "json/decoder.py" in log.read_text()


def test_a_refusal_of_ours_needs_no_log(tmp_path):
    """A Misfit says all there is to say."""
    log = tmp_path / "a.jsonl.log"
    with pytest.raises(EnvironmentMissing), log_libraries(log), explain_errors("x", "do this"):
        raise Misfit("it is odd")
    assert not log.exists()


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3), UsageError("a", "b")])
def test_what_ends_a_process_and_our_own_errors_go_through(raised):
    """A Ctrl-C while a model loads is a Ctrl-C."""
    with pytest.raises(type(raised)), explain_errors("x", "do this"):
        raise raised


def test_the_library_says_nothing_meanwhile():
    """What it would report at length is told in a line; its verbosity is given back."""
    before = transformers_logging.get_verbosity()
    with explain_errors("x", "do this"):
        assert transformers_logging.get_verbosity() == transformers_logging.ERROR
    assert transformers_logging.get_verbosity() == before
