"""Where tokens come from, and what is said when they can't be had."""

import sys
from collections import Counter
from types import ModuleType

import pytest

import tiny
from specprof.engine.setup.text import NAMED_TEXTS, document, encode, stretches
from specprof.errors import EnvironmentMissing, UsageError
from specprof.settings import Settings


@pytest.fixture
def datasets(monkeypatch):
    """A stand-in for the datasets package that knows one dataset."""
    fake = ModuleType("datasets")

    def load_dataset(path, config, split, streaming):
        if path != "books":
            raise ValueError(f"no dataset {path}\nand a long tail")
        column = "text" if config == "plain" else "pages"
        return iter([{column: f"book {number} " * 50} for number in range(100)])

    fake.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", fake)


def test_the_default_document_is_the_held_out_text():
    """Its provenance carries a checksum: another Python has other sources."""
    text, source = document(Settings())
    assert "class ArgumentParser" in text
    assert "sha256" in source


def test_a_file_is_read_and_named(tmp_path):
    """--text FILE."""
    (tmp_path / "a.txt").write_text("words", encoding="utf-8")
    text, source = document(Settings(text=str(tmp_path / "a.txt")))
    assert text == "words"
    assert source.startswith(str(tmp_path / "a.txt"))


@pytest.mark.parametrize("name", NAMED_TEXTS)
def test_a_named_text_is_long_the_same_every_time_and_says_what_it_is(name):
    """Long enough for the deepest default walk; its source begins with the name."""
    text, source = document(Settings(text=name))
    assert (text, source) == document(Settings(text=name))
    assert len(text) > 100_000
    assert source.startswith(f"{name}: ")


def test_each_named_text_is_of_its_kind():
    """English, a loop of lines, the held-out document backwards, letters without any pattern."""
    texts = {name: document(Settings(text=name))[0] for name in NAMED_TEXTS}
    assert texts["prose"].lower().count(" the ") > 1000
    assert len(set(texts["repetition"].split("\n"))) == 3
    assert texts["reversed"][::-1] == document(Settings())[0]
    shares = Counter(texts["random"]).values()
    assert max(shares) < 1.2 * min(shares)  # 2,000 of each: 0.8 is 9 standard errors off


def test_an_unknown_file_is_answered_with_the_names():
    """They are no paths."""
    with pytest.raises(UsageError) as raised:
        document(Settings(text="prosa"))
    assert "prose, repetition, reversed, random" in raised.value.hint


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00broken"])
def test_an_unreadable_file_is_told(tmp_path, content):
    """Missing, or not UTF-8."""
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="can't read --text"):
        document(Settings(text=str(path)))


def test_a_dataset_gives_enough_rows_and_no_more(datasets):
    """Rows are joined until they surely hold the context."""
    text, source = document(Settings(dataset="books:plain", context=100))
    assert 1600 <= len(text) < 3000
    assert source.startswith("books:plain")


def test_a_dataset_without_text_or_name_is_told(datasets):
    """The columns it has are listed; an unknown dataset keeps the library's first line."""
    with pytest.raises(UsageError, match="it has pages"):
        document(Settings(dataset="books:other"))
    with pytest.raises(EnvironmentMissing, match="no dataset nothing") as raised:
        document(Settings(dataset="nothing"))
    assert "long tail" not in raised.value.title
    assert "--text FILE" in raised.value.hint


def test_a_missing_package_is_told_with_the_command(monkeypatch):
    """The extra's name is in the hint."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(EnvironmentMissing) as raised:
        document(Settings(dataset="books"))
    assert "specprof[datasets]" in raised.value.hint


def test_two_sources_are_one_too_many():
    """--text and --dataset exclude each other."""
    with pytest.raises(UsageError, match="both name a text"):
        document(Settings(text="a", dataset="b"))


def test_a_text_too_short_is_refused_with_its_length():
    """The longest possible context is in the hint."""
    assert len(encode(tiny.tokenizer(), "abcdef", 4)) == 4
    with pytest.raises(UsageError, match="the text has 6") as raised:
        encode(tiny.tokenizer(), "abcdef", 7)
    assert "--context 6" in raised.value.hint


def test_the_stretches_of_a_batch_lie_evenly_over_the_text():
    """Disjoint where there is room, overlapping where there is not; the first is what one takes."""
    letters = "".join(chr(40 + n) for n in range(20))
    whole = encode(tiny.tokenizer(), letters, 20)
    assert stretches(tiny.tokenizer(), letters, 4, 1) == [whole[:4]]
    assert stretches(tiny.tokenizer(), letters, 4, 3) == [whole[:4], whole[8:12], whole[16:]]
    assert stretches(tiny.tokenizer(), letters, 18, 3) == [whole[n : n + 18] for n in range(3)]


def test_stretches_that_would_be_one_and_the_same_are_refused():
    """The longest context at which they differ is in the hint."""
    with pytest.raises(UsageError, match=r"4 different stretches of 4 tokens .* of 6") as raised:
        stretches(tiny.tokenizer(), "abcdef", 4, 4)
    assert "--context 3" in raised.value.hint


@pytest.mark.parametrize("name", ["pandas", "pandas:x", "generator"])
def test_a_reader_of_the_current_folder_is_no_dataset(name):
    """`datasets` takes some names for a way to read files: one of them unpickles."""
    with pytest.raises(UsageError, match="is no dataset"):
        document(Settings(dataset=name))
