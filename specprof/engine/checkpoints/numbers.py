"""The numbers of a configuration, held to what any model can mean before one sizes anything."""

import math
import re
from collections.abc import Iterator
from typing import Any

import torch

from specprof.engine.checkpoints.files import CONFIG, Misfit

LARGEST = 2**31 - 1
"""Of any whole number but the unbounded ones: no tensor's side, no token's id is beyond."""
MOST_LAYERS, MOST_EXPERTS = 1024, 8192
"""Each is a module, or a loop: a billion would be made one by one."""
DEEPEST = 32
"""Tables within tables of a configuration."""
AT_LEAST = {
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
"""Sizes by the names most configurations give them, and the least each can be."""
POSITIVE = frozenset({"factor", "rope_theta", "theta", "original_max_position_embeddings"})
"""Numbers of a rotation that can be neither 0 nor less."""
SHARES = frozenset({"partial_rotary_factor", "rotary_pct"})
"""Numbers above 0 and at most 1."""
NUMBERS = frozenset({"beta_fast", "beta_slow", "low_freq_factor", "high_freq_factor"})
UNBOUNDED = re.compile(r"theta|base|seed|max_length$")
"""Whole numbers of these names may be of any size: none makes anything."""
LAYERS = re.compile(r"(^|_)n?_?layers?$|(^|_)depth$")
EPSILON = re.compile(r"(^|_)eps(ilon)?$")
EXPERTS = re.compile(r"experts?$")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def check_numbers(written: dict[str, Any]) -> None:
    """Refuse a configuration, as it was written, that no model can have. Raises Misfit."""
    for key, value in _pairs(written, DEEPEST):
        if type(value) is int:
            _check_whole(key, value)
        _check_real(key, value)
    for key, least in AT_LEAST.items():
        for table in (written, written.get("text_config")):
            if isinstance(table, dict) and key in table:
                _check_size(key, table[key], least)
    names = written.get("architectures")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(e, str) for e in names)
    ):
        raise Misfit(f"{CONFIG} says architectures {shown(names)}", "it is a list of names")
    for key in ("dtype", "torch_dtype"):
        _check_dtype(key, written.get(key))


def check_ends(written: dict[str, Any], file: str = CONFIG) -> None:
    """Refuse tokens that end, begin or pad a text and are no ids. Raises Misfit."""
    for key in ENDS:
        value = written.get(key)
        ids = value if isinstance(value, list) and key == "eos_token_id" else [value]
        for each in ids:
            if each is not None and (type(each) is not int or abs(each) > LARGEST):
                raise Misfit(f"{file} says {key} {shown(value)}", "a token's id is a whole number")


def _check_whole(key: str, value: int) -> None:
    if UNBOUNDED.search(key):
        return
    most = MOST_LAYERS if LAYERS.search(key) else LARGEST
    most = MOST_EXPERTS if EXPERTS.search(key) else most
    if abs(value) > most:
        raise Misfit(f"{CONFIG} says {key} {shown(value)}", f"no model has more than {most}")


def _check_real(key: str, value: object) -> None:
    """Refuse what is no number, or one of no use, where a rotation or a norm needs one."""
    if value is None or not (key in POSITIVE | SHARES | NUMBERS or EPSILON.search(key)):
        return
    if isinstance(value, dict):  # a kind of layer that is called so
        return
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or (number <= 0 and key in POSITIVE | SHARES):
        raise Misfit(f"{CONFIG} says {key} {shown(value)}", "it is a number above 0")
    if number > 1 and key in SHARES:
        raise Misfit(f"{CONFIG} says {key} {shown(value)}", "it is at most 1")
    if number < 0 and EPSILON.search(key):
        raise Misfit(f"{CONFIG} says {key} {shown(value)}", "it is a small number above 0")


def _check_size(key: str, value: object, least: int) -> None:
    if (
        value is None or value is False
    ):  # not said: the kind's own default, or transformers refuses it
        return
    sizes = value if isinstance(value, list) and value else [value]  # some kinds: one a layer
    if any(type(each) is not int or each < least for each in sizes):
        raise Misfit(f"{CONFIG} says {key} {shown(value)}", f"it is a whole number from {least}")


def _check_dtype(key: str, value: object) -> None:
    if value in (None, "auto"):
        return
    named = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else None
    if not isinstance(named, torch.dtype):
        raise Misfit(f"{CONFIG} says {key} {shown(value)}", "it is one of torch's: bfloat16 ...")


def _pairs(table: object, levels: int) -> Iterator[tuple[str, object]]:
    """Yield every key with its value, of tables within tables too; of lists each element."""
    if levels == 0:
        raise Misfit(f"{CONFIG} is nested deeper than {DEEPEST} levels")
    for key, value in table.items() if isinstance(table, dict) else ():
        for each in value if isinstance(value, list) else [value]:
            yield key, each
            yield from _pairs(each, levels - 1)
            if isinstance(each, list):
                yield from _pairs({key: each}, levels - 1)


def shown(value: object) -> str:
    """Return what a configuration says for a message: it may be of any length."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."  # noqa: PLR2004 - a glance
