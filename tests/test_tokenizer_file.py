"""Tokenizer files that would take gigabytes or hours for a word are refused before loading."""

import json

import pytest
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel

from specprof import pocket
from specprof.tokenizer_file import (
    MAX_ADDED_CHARS,
    MAX_GROWTH,
    MAX_PATTERN_CHARS,
    MOST_STEPS,
    find_added_trouble,
    find_trouble,
    keep_decoder_only,
)

PATTERNS = [
    *(
        r" {2,}",
        r"\s{2,}|[\n\r\t]",
        r"\n",
        r" +▁",
        r"^▁+$",
        r"\A +| +\z",
        r"\A▁",
        r"\s+",
        r"\p{Zs}+",
        r"[[:space:]]+",
        r"^(?!▁)",
        r"(?<!\n)^",
        r"\s+([.,!?])",
    ),
]
"""Patterns of the normalisers that transformers makes."""
DEEP = '{"normalizer":' + '{"a":' * 700 + "1" + "}" * 701
SLOW = [
    r"(?m)(?:.|..){1,20}\A\z",
    "(a+)+$",
    "a*a*a*b",
    r"(?:a|a)+$",
    r"(a*)\1\1b",
    r"(?:a+)b",
    r"(?:a(b)*)+",
    r"(?>a+)+",
    "a{2}+b",
    r"\X+a",
]
"""Each can match in very many ways, or in ways that the check does not analyse."""


def written(normalizer=None, decoder=None):
    tokenizer = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if decoder is not None:
        tokenizer.decoder = decoder
    return tokenizer.to_str()


def longer(times, steps):
    return normalizers.Sequence([normalizers.Replace("e", "e" * times)] * steps)


@pytest.mark.parametrize(("times", "steps"), [(MAX_GROWTH + 1, 1), (64, 4), (2, 7)])
def test_steps_that_multiply_are_seen(times, steps):
    """They are found alone or in a row, wherever the library writes them."""
    assert "normalizer" in find_trouble(written(longer(times, steps)))
    chain = decoders.Sequence([decoders.Replace("a", "a" * times)] * steps)
    assert "decoder" in find_trouble(written(decoder=chain))


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
    """They put one sign for a space, and one at the front."""
    assert find_trouble(written(normalizer)) is None


def test_the_pocket_familys_tokenizer_is_sound():
    """The shipped file is accepted."""
    path = pocket.folder("pocket/target") / "tokenizer.json"
    assert find_trouble(path.read_text(encoding="utf-8")) is None


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "1", '{"normalizer": 3}', "[" * 10_000, DEEP]
)
def test_what_has_another_form_is_the_librarys_to_refuse(text):
    """Our check raises nothing."""
    assert find_trouble(text) is None


def test_a_prepended_text_counts_with_what_it_stands_before():
    """One letter put before a letter doubles the length."""
    steps = [{"type": "Prepend", "prepend": "x"}] * 7
    assert find_trouble(json.dumps({"normalizer": {"normalizers": steps}}))
    assert not find_trouble(json.dumps({"normalizer": {"normalizers": steps[:6]}}))


@pytest.mark.parametrize("kind", [{}, {"type": "replace"}, {"type": "Nosuch"}, {"type": None}])
@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_a_step_is_known_by_what_it_holds(kind, part):
    """The library obeys a step whose type is missing, unknown, or in other letters."""
    step = {**kind, "pattern": {"String": "a"}, "content": "a" * 9}
    whole = json.loads(written()) | {part: {**kind, f"{part}s": [step, step]}}
    try:
        read = Tokenizer.from_str(json.dumps(whole))
    except Exception:  # noqa: BLE001 - the package raises bare Exception; it refuses that kind
        read = None
    if read is not None and part == "normalizer":
        assert read.normalizer.normalize_str("a") == "a" * 81
    assert part in find_trouble(json.dumps(whole))


def test_a_text_put_in_by_a_step_without_a_type_counts():
    """It counts with the text that it is put before."""
    assert find_trouble(json.dumps({"normalizer": [{"prepend": "x" * MAX_GROWTH}]}))
    assert not find_trouble(json.dumps({"normalizer": [{"append": "x" * (MAX_GROWTH - 1)}]}))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_the_patterns_of_real_normalisers_are_left_alone(pattern, part):
    """A run of one sign, at the front, at the end, or before another."""
    steps = {"normalizer": normalizers.Replace, "decoder": decoders.Replace}
    assert find_trouble(written(**{part: steps[part](Regex(pattern), " ")})) is None


@pytest.mark.parametrize("pattern", [*SLOW, "a" * (MAX_PATTERN_CHARS + 1)])
@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_a_pattern_that_may_take_hours_is_seen_where_nothing_could_stop_it(pattern, part):
    """Added tokens pass through the normaliser while the library loads them."""
    step = {"type": "Replace", "pattern": {"Regex": pattern}, "content": "b"}
    whole = json.dumps({part: {"type": "Sequence", "steps": [step]}})
    assert f"{part} has a pattern that may take hours" in find_trouble(whole)
    assert len(find_trouble(whole)) < 300


def test_patterns_that_split_a_text_are_left_to_the_run():
    """GPT-2's, Llama's and Qwen's have groups; a run that they stop is given up."""
    gpt2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(gpt2), "isolated")
    assert find_trouble(tokenizer.to_str()) is None


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "decoder"])
def test_a_chain_without_end_is_seen(part):
    """Each step is short work, but a million of them are not."""
    steps = [{"type": "Strip"}] * MOST_STEPS
    assert "steps" in find_trouble(json.dumps({part: {"type": "Sequence", "steps": steps}}))
    assert not find_trouble(json.dumps({part: {"type": "Sequence", "steps": steps[1:]}}))


@pytest.mark.parametrize("key", ["added_tokens", "added_tokens_decoder"])
def test_an_added_token_as_long_as_a_book_is_seen(key):
    """It is found in the tokenizer's file, and in its configuration."""
    for count, seen in ((MAX_ADDED_CHARS, False), (MAX_ADDED_CHARS + 1, True)):
        token = {"content": "a" * count}
        whole = {key: [token] if key == "added_tokens" else {"7": token}}
        assert bool(find_added_trouble(whole)) is seen
    assert find_trouble(json.dumps({"added_tokens": [token]}))


def test_decoding_needs_neither_normaliser_nor_splits():
    """The same words come without them, and no pattern is left."""
    path = pocket.folder("pocket/target") / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    whole, needed = Tokenizer.from_str(text), keep_decoder_only(text)
    assert "Regex" in text
    assert "Regex" not in needed
    ids = whole.encode("def area(width):\n    return 1").ids
    assert Tokenizer.from_str(needed).decode(ids) == whole.decode(ids)
    assert keep_decoder_only(written(decoder=decoders.Replace(Regex("a"), "b"))) is None
