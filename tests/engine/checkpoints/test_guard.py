"""Whatever a library raises over a checkpoint is one line with what to do."""

import pytest
import torch
from transformers.utils import logging as transformers_logging

from specprof.engine.checkpoints.files import Misfit
from specprof.engine.checkpoints.guard import told_of
from specprof.errors import EnvironmentMissing, UsageError


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
        (MemoryError(), "there is no memory for it"),
        (torch.OutOfMemoryError("8 GiB"), "there is no memory for it"),
        (Misfit("it is odd"), "it is odd"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_an_error_becomes_a_line(raised, said):
    """Exit code 3, one line, the cause kept for who debugs."""
    with pytest.raises(EnvironmentMissing) as told, told_of("x", "do this"):
        raise raised
    assert said in told.value.title
    assert "\n" not in told.value.title
    assert told.value.hint
    assert told.value.__cause__ is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3), UsageError("a", "b")])
def test_what_ends_a_process_and_our_own_errors_go_through(raised):
    """A Ctrl-C while a model loads is a Ctrl-C."""
    with pytest.raises(type(raised)), told_of("x", "do this"):
        raise raised


def test_the_library_says_nothing_meanwhile():
    """What it would report at length is told in a line; its verbosity is given back."""
    before = transformers_logging.get_verbosity()
    with told_of("x", "do this"):
        assert transformers_logging.get_verbosity() == transformers_logging.ERROR
    assert transformers_logging.get_verbosity() == before
