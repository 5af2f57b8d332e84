"""A tokenizer is waited for, and given up where it takes far too long."""

import threading
import time

import pytest
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

import tiny
from specprof.engine.setup import tokens
from specprof.engine.setup.text import encode
from specprof.errors import EnvironmentMissing
from specprof.narration import log_libraries

SLOW = r"(?m)(?:.|..){1,20}\A\z"
"""Takes some 50 ms for each letter, and nothing stops the library meanwhile."""

TEXT = "the cat sat on the mat and saw the dog run away"


@pytest.fixture
def hostile(monkeypatch):
    monkeypatch.setattr(tokens, "MAX_WAIT_S", 0.1)
    inner = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(SLOW), "isolated")
    yield PreTrainedTokenizerFast(tokenizer_object=inner)
    for each in tokens._given_up:
        each.join()
    tokens._given_up.clear()


def test_a_text_becomes_ids():
    """As the tokenizer makes them."""
    assert tokens.token_ids(tiny.tokenizer(), "abc") == tiny.tokenizer()("abc")["input_ids"]


def test_what_a_tokenizer_raises_is_raised():
    """In the thread that asked."""

    def refuses(text, verbose):
        raise KeyError(text)

    with pytest.raises(KeyError, match="abc"):
        tokens.token_ids(refuses, "abc")


def test_a_panic_of_the_library_is_one_line():
    """It is no Exception, and would pass everything that catches one."""
    inner = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    with pytest.raises(EnvironmentMissing, match=r"can't read a text: .*retry-limit-in-match over"):
        tokens.token_ids(PreTrainedTokenizerFast(tokenizer_object=inner), 60 * "a" + "b")


def test_what_a_panic_prints_goes_to_the_log(tmp_path, capfd):
    """Rust writes its lines past Python; the screen has our one line alone."""
    inner = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    log = tmp_path / "run.jsonl.log"
    with log_libraries(log), pytest.raises(EnvironmentMissing):
        tokens.token_ids(PreTrainedTokenizerFast(tokenizer_object=inner), 60 * "a" + "b")
    assert "panicked at" in log.read_text()
    assert capfd.readouterr().err == f"what libraries said is in {log}\n"


def test_a_pattern_that_takes_days_is_given_up(hostile):
    """In one line, long before it would end; and nothing is timed beside it."""
    began = time.monotonic()
    with pytest.raises(EnvironmentMissing, match="takes more than 0 s for 47 characters"):
        encode(hostile, TEXT, 4)
    assert time.monotonic() - began < 1
    with pytest.raises(EnvironmentMissing, match="still runs in this process"):
        tokens.refuse_running_tokenizer()


def test_once_it_has_ended_nothing_is_refused(hostile):
    """A slow one that was given up too early costs that one run."""
    with pytest.raises(EnvironmentMissing):
        tokens.token_ids(hostile, TEXT)
    for each in threading.enumerate():
        if each.name == "tokenise":
            each.join()
    assert tokens.token_ids(tiny.tokenizer(), "abc")
