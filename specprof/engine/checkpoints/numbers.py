"""Check a configuration's numbers against what any model can have, before they size anything."""

import math
import re
from collections.abc import Iterator
from typing import Any

import torch

from specprof.engine.checkpoints.files import CONFIG, Misfit

MAX_WHOLE_NUMBER = 2**31 - 1
"""The limit for whole numbers, except unbounded ones: no tensor's side or token's id is larger."""
MAX_LAYERS, MAX_EXPERTS = 1024, 8192
"""Each layer or expert is a module, or a loop: a billion would be made one by one."""
MAX_NESTED_TABLES = 32
LEAST_SIZES = {
    "hidden_size": 1,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "vocab_size": 2,
    "intermediate_size": 1,
    "head_dim": 1,
    "max_position_embeddings": 1,
    "sliding_window": 0,
    "n_embd": 1,
    "n_layer": 1,
    "n_head": 1,
}
"""Sizes under their usual names, and the least that each can be."""
POSITIVE_KEYS = frozenset({"factor", "rope_theta", "theta", "original_max_position_embeddings"})
"""Numbers of a rotation that must be above 0."""
SHARE_KEYS = frozenset({"partial_rotary_factor", "rotary_pct"})
"""Numbers above 0 and at most 1."""
NUMBER_KEYS = frozenset({"beta_fast", "beta_slow", "low_freq_factor", "high_freq_factor"})
UNBOUNDED_KEY = re.compile(r"theta|base|seed|max_length$")
"""Whole numbers of these names may have any size: they size nothing."""
LAYERS_KEY = re.compile(r"(^|_)n?_?layers?$|(^|_)depth$")
EPSILON_KEY = re.compile(r"(^|_)eps(ilon)?$")
EXPERTS_KEY = re.compile(r"experts?$")
SPECIAL_ID_KEYS = ("bos_token_id", "eos_token_id", "pad_token_id")


def check_numbers(written: dict[str, Any]) -> None:
    """Raise Misfit for a configuration, as it was written, that no model can have."""
    for key, value in _pairs(written, MAX_NESTED_TABLES):
        if type(value) is int:
            _check_whole(key, value)
        _check_real(key, value)
    for key, least in LEAST_SIZES.items():
        for table in (written, written.get("text_config")):
            if isinstance(table, dict) and key in table:
                _check_size(key, table[key], least)
    names = written.get("architectures")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(e, str) for e in names)
    ):
        raise Misfit(
            f"{CONFIG} says architectures {shorten_value(names)}", "it must be a list of names"
        )
    for key in ("dtype", "torch_dtype"):
        _check_dtype(key, written.get(key))


def check_special_ids(written: dict[str, Any], file: str = CONFIG) -> None:
    """Raise Misfit if a token that begins, ends or pads a text is given by no token id."""
    for key in SPECIAL_ID_KEYS:
        value = written.get(key)
        ids = value if isinstance(value, list) and key == "eos_token_id" else [value]
        for each in ids:
            if each is not None and (type(each) is not int or abs(each) > MAX_WHOLE_NUMBER):
                title = f"{file} says {key} {shorten_value(value)}"
                raise Misfit(title, "a token id must be a whole number")


def _check_whole(key: str, value: int) -> None:
    if UNBOUNDED_KEY.search(key):
        return
    most = MAX_LAYERS if LAYERS_KEY.search(key) else MAX_WHOLE_NUMBER
    most = MAX_EXPERTS if EXPERTS_KEY.search(key) else most
    if abs(value) > most:
        title = f"{CONFIG} says {key} {shorten_value(value)}"
        raise Misfit(title, f"no model has more than {most}")


def _check_real(key: str, value: object) -> None:
    """Refuse a value that a rotation or a norm can't compute with."""
    positive = key in POSITIVE_KEYS | SHARE_KEYS
    if value is None or not (positive or key in NUMBER_KEYS or EPSILON_KEY.search(key)):
        return
    if isinstance(value, dict):  # a kind of layer of that name
        return
    title = f"{CONFIG} says {key} {shorten_value(value)}"
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or (number <= 0 and positive):
        raise Misfit(title, "it must be a number above 0")
    if number > 1 and key in SHARE_KEYS:
        raise Misfit(title, "it must be at most 1")
    if number < 0 and EPSILON_KEY.search(key):
        raise Misfit(title, "it must be a small number above 0")


def _check_size(key: str, value: object, least: int) -> None:
    if (
        value is None or value is False
    ):  # not given: the kind of model has a default, or transformers refuses it
        return
    sizes = value if isinstance(value, list) and value else [value]  # a list has one a layer
    if any(type(each) is not int or each < least for each in sizes):
        title = f"{CONFIG} says {key} {shorten_value(value)}"
        raise Misfit(title, f"it must be a whole number, {least} or more")


def _check_dtype(key: str, value: object) -> None:
    if value in (None, "auto"):
        return
    named = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else None
    if not isinstance(named, torch.dtype):
        title = f"{CONFIG} says {key} {shorten_value(value)}"
        raise Misfit(title, "it must be one of torch's dtypes, such as bfloat16")


def _pairs(table: object, levels: int) -> Iterator[tuple[str, object]]:
    """Yield every key with its value, of nested tables too; yield a list element by element."""
    if levels == 0:
        raise Misfit(f"{CONFIG} is nested deeper than {MAX_NESTED_TABLES} levels")
    for key, value in table.items() if isinstance(table, dict) else ():
        for each in value if isinstance(value, list) else [value]:
            yield key, each
            yield from _pairs(each, levels - 1)
            if isinstance(each, list):
                yield from _pairs({key: each}, levels - 1)


def shorten_value(value: object) -> str:
    """Return a configuration's value for a message: cut short, for it may have any length."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."  # noqa: PLR2004 - a glance
