"""Token texts from a tokenizer on this machine, ids where there is none."""

import json
import time

import msgspec
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from captures import events
from specprof import pocket
from specprof.amounts import LARGEST_TOKENIZER_BYTES
from specprof.tui.snapshot import ids_only
from specprof.tui.vocabulary import load_vocabulary


def header(target):
    first = events()[0]
    settings = msgspec.structs.replace(first.spec.settings, target=str(target))
    return msgspec.structs.replace(
        first, spec=msgspec.structs.replace(first.spec, settings=settings)
    )


@pytest.fixture
def checkpoint(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"▁the": 0, "Ġcat": 1, "sat": 2}, unk_token="sat"))
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_local_checkpoints_tokens_are_read(checkpoint):
    """The space a word starts with is part of its text."""
    text = load_vocabulary(header(checkpoint))
    assert text(0) == " the"
    assert text(2) == "sat"


def test_an_unknown_id_is_shown_as_an_id(checkpoint):
    """A token beyond the vocabulary is not made up, nor one that no tokenizer holds."""
    text = load_vocabulary(header(checkpoint))
    for token in (99, -1, 2**32 - 1, 2**32, 2**53, -(2**63)):
        assert text(token) == f"⟨{token}⟩"


def test_without_a_tokenizer_ids_are_shown(tmp_path):
    """No file, no text, no error; nor where the name can be no file's."""
    for target in (tmp_path / "nowhere", "~nosuchuser/m", "x" * 100_000, "a\0b"):
        assert load_vocabulary(header(target))(5) == "⟨5⟩"


def test_a_broken_tokenizer_is_no_reason_to_stop(tmp_path):
    """A file that can't be parsed leaves ids."""
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    assert load_vocabulary(header(tmp_path))(5) == "⟨5⟩"


@pytest.mark.parametrize("target", ["~nosuchuser/m", "x" * 100_000, "a\0b", "", "/dev"])
def test_a_target_that_is_no_folder_shows_ids(target):
    """A capture may call its target anything."""
    assert load_vocabulary(header(target))(5) == "⟨5⟩"


def test_a_file_too_large_for_a_tokenizer_is_not_read(tmp_path):
    """A capture chooses what is opened; not how much memory that takes."""
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(LARGEST_TOKENIZER_BYTES + 1)
    assert load_vocabulary(header(tmp_path))(5) == "⟨5⟩"


def test_a_tokenizer_that_would_fill_the_memory_shows_ids(tmp_path):
    """A capture may name the folder it lies in, and bring such a file with it."""
    steps = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 16}] * 8
    whole = json.loads((pocket.folder("pocket/target") / "tokenizer.json").read_text("utf-8"))
    whole["decoder"] = {"type": "Sequence", "decoders": steps}
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    assert load_vocabulary(header(tmp_path)) is ids_only


def test_a_panic_of_the_library_shows_ids(tmp_path):
    """It is no Exception: every token whose text can't be had is its id."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.decoder = decoders.Strip("a", 2**62, 2**62)
    with pytest.raises(BaseException, match="out of bounds") as panic:
        tokenizer.decode([0])
    assert not isinstance(panic.value, Exception)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_vocabulary(header(tmp_path))(0) == ids_only(0)


SLOW = Regex(r"(?m)(?:.|..){1,22}\A\z")
"""Takes half a second for each letter, and nothing stops the library meanwhile."""


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "decoder"])
def test_a_pattern_that_takes_hours_holds_nothing_up(tmp_path, part):
    """Decoding needs no normaliser and no splits; a decoder with a pattern is left alone."""
    word = "the cat sat on the mat and saw the dog run away " * 20
    tokenizer = Tokenizer(models.WordLevel({word: 0, "sat": 1}, unk_token="sat"))
    step = {
        "normalizer": normalizers.Replace(SLOW, "b"),
        "pre_tokenizer": pre_tokenizers.Split(SLOW, "isolated"),
        "decoder": decoders.Replace(SLOW, "b"),
    }[part]
    setattr(tokenizer, part, step)
    whole = json.loads(tokenizer.to_str())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    whole["added_tokens"] = [{"id": 0, "content": word, "normalized": True, **flags}]
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    began = time.monotonic()
    text = load_vocabulary(header(tmp_path))(0)
    assert time.monotonic() - began < 5
    assert text == (word if part == "pre_tokenizer" else "⟨0⟩")
