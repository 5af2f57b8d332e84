"""A tokenizer's file that would make gigabytes of a word is seen before it is loaded."""

import json

import pytest
from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import WordLevel

from specprof import pocket
from specprof.tokenizer_file import MOST_TIMES, trouble_with


def written(normalizer=None, decoder=None):
    tokenizer = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if decoder is not None:
        tokenizer.decoder = decoder
    return tokenizer.to_str()


def longer(times, steps):
    return normalizers.Sequence([normalizers.Replace("e", "e" * times)] * steps)


@pytest.mark.parametrize(("times", "steps"), [(MOST_TIMES + 1, 1), (64, 4), (2, 7)])
def test_steps_that_multiply_are_seen(times, steps):
    """Alone or in a row, and wherever the library writes them."""
    assert "normalizer" in trouble_with(written(longer(times, steps)))
    chain = decoders.Sequence([decoders.Replace("a", "a" * times)] * steps)
    assert "decoder" in trouble_with(written(decoder=chain))


@pytest.mark.parametrize(
    "normalizer",
    [
        None,
        normalizers.Replace(" ", "▁"),
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        longer(2, 6),
        normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
    ],
)
def test_what_real_tokenizers_do_is_left_alone(normalizer):
    """A sign for a space, and one at the front."""
    assert trouble_with(written(normalizer)) is None


def test_the_pocket_familys_tokenizer_is_sound():
    """As it is shipped."""
    path = pocket.folder("pocket/target") / "tokenizer.json"
    assert trouble_with(path.read_text(encoding="utf-8")) is None


@pytest.mark.parametrize("text", ["", "no json", "[]", "1", '{"normalizer": 3}', "[" * 10_000])
def test_what_has_another_form_is_the_librarys_to_refuse(text):
    """Nothing is raised."""
    assert trouble_with(text) is None


def test_a_prepended_text_counts_with_what_it_stands_before():
    """One letter more is twice the length of one letter."""
    steps = [{"type": "Prepend", "prepend": "x"}] * 7
    assert trouble_with(json.dumps({"normalizer": {"normalizers": steps}}))
    assert not trouble_with(json.dumps({"normalizer": {"normalizers": steps[:6]}}))
