"""Odd files: configurations, tokenizers, and folders that are something else."""

import os
import shutil
from pathlib import Path

from odd.recipes import Odd, config, directory, fifo, file_bytes, json_keys, link, remove, sparse


def _deep(levels: int) -> str:
    return '{"model_type": "llama", "a": ' + "[" * levels + "]" * levels + "}"


FILES = [
    Odd("config absent", remove("config.json")),
    Odd("config empty", file_bytes("config.json", b"")),
    Odd("config directory", directory("config.json")),
    Odd("config fifo", fifo("config.json")),
    Odd("config device", link("config.json", "/dev/zero")),
    Odd("config loop", link("config.json", "config.json")),
    Odd("config dangling", link("config.json", "nosuch")),
    Odd("config 1 GB", sparse("config.json", 2**30)),
    Odd("config not UTF-8", file_bytes("config.json", b'{"model_type": "\xff\xfe"}')),
    Odd("config UTF-16", file_bytes("config.json", '{"model_type": "llama"}'.encode("utf-16"))),
    Odd("config list", file_bytes("config.json", b"[1, 2]")),
    Odd("config number", file_bytes("config.json", b"3")),
    Odd("config null", file_bytes("config.json", b"null")),
    Odd("config of nothing", file_bytes("config.json", b"{}")),
    Odd("config cut", file_bytes("config.json", b'{"model_type": "lla')),
    Odd("config deep", file_bytes("config.json", _deep(100_000).encode())),
    Odd("config deep, a little", file_bytes("config.json", _deep(500).encode())),
    Odd("config NaN", config(rms_norm_eps=float("nan"))),
    Odd("config Infinity", config(rms_norm_eps=float("inf"))),
    Odd(
        "config long number",
        file_bytes("config.json", b'{"model_type":"llama","vocab_size":' + b"9" * 5000 + b"}"),
    ),
    Odd("config generation absent", remove("generation_config.json"), runs=True),
    Odd("generation broken", file_bytes("generation_config.json", b"{"), runs=True),
    Odd("generation list", file_bytes("generation_config.json", b"[]"), runs=True),
    Odd("generation fifo", fifo("generation_config.json")),
    Odd("generation eos text", json_keys("generation_config.json", eos_token_id="x")),
    Odd("generation eos lists", json_keys("generation_config.json", eos_token_id=[[0]])),
    Odd(
        "generation eos far",
        json_keys("generation_config.json", eos_token_id=[0, 10**9]),
        runs=True,
    ),
    Odd("generation eos float", json_keys("generation_config.json", eos_token_id=1.5)),
    Odd("generation odd", json_keys("generation_config.json", temperature="hot"), runs=True),
    Odd("generation max", json_keys("generation_config.json", max_new_tokens=-5), runs=True),
    Odd("tokenizer absent", remove("tokenizer.json", "tokenizer_config.json")),
    Odd("tokenizer.json absent", remove("tokenizer.json")),
    Odd("tokenizer empty", file_bytes("tokenizer.json", b"")),
    Odd("tokenizer fifo", fifo("tokenizer.json")),
    Odd("tokenizer directory", directory("tokenizer.json")),
    Odd("tokenizer list", file_bytes("tokenizer.json", b"[]")),
    Odd("tokenizer of nothing", file_bytes("tokenizer.json", b"{}")),
    Odd("tokenizer cut", file_bytes("tokenizer.json", b'{"version": "1.0", "mod')),
    Odd("tokenizer no model", json_keys("tokenizer.json", model={})),
    Odd(
        "tokenizer no tokens",
        json_keys("tokenizer.json", model={"type": "WordLevel", "vocab": {}, "unk_token": " "}),
    ),
    Odd(
        "tokenizer ids huge",
        json_keys(
            "tokenizer.json",
            model={"type": "WordLevel", "vocab": {"t": 2**32 - 1, " ": 7}, "unk_token": " "},
        ),
    ),
    Odd(
        "tokenizer ids beyond",
        json_keys(
            "tokenizer.json",
            model={"type": "WordLevel", "vocab": {"t": 500, " ": 501}, "unk_token": " "},
        ),
    ),
    Odd(
        "tokenizer ids negative",
        json_keys(
            "tokenizer.json", model={"type": "WordLevel", "vocab": {"t": -1}, "unk_token": "t"}
        ),
    ),
    Odd(
        "tokenizer no unknown",
        json_keys(
            "tokenizer.json", model={"type": "WordLevel", "vocab": {"?": 1}, "unk_token": "x"}
        ),
    ),
    Odd("tokenizer pre odd", json_keys("tokenizer.json", pre_tokenizer={"type": "NoSuch"})),
    Odd(
        "tokenizer pattern",
        json_keys(
            "tokenizer.json",
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(a+)+("},
                "behavior": "Isolated",
                "invert": False,
            },
        ),
    ),
    Odd(
        "tokenizer class unknown",
        json_keys("tokenizer_config.json", tokenizer_class="NoSuch"),
        runs=True,
    ),
    Odd("tokenizer class number", json_keys("tokenizer_config.json", tokenizer_class=3)),
    Odd("tokenizer config broken", file_bytes("tokenizer_config.json", b"{")),
    Odd("tokenizer config list", file_bytes("tokenizer_config.json", b"[]")),
    Odd("tokenizer config fifo", fifo("tokenizer_config.json")),
    Odd("tokenizer length odd", json_keys("tokenizer_config.json", model_max_length="x")),
    Odd(
        "tokenizer length small", json_keys("tokenizer_config.json", model_max_length=4), runs=True
    ),
    Odd("tokenizer special odd", json_keys("tokenizer_config.json", unk_token=5)),
    Odd(
        "tokenizer code",
        json_keys("tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]}),
        runs=True,
    ),
    Odd("special tokens broken", file_bytes("special_tokens_map.json", b"{"), runs=True),
    Odd("added tokens broken", file_bytes("added_tokens.json", b"["), runs=True),
    Odd("chat template fifo", fifo("chat_template.jinja")),
    Odd("chat template broken", file_bytes("chat_template.jinja", b"{% for"), runs=True),
]


def _put_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def _put_fifo(folder: Path) -> None:
    shutil.rmtree(folder)
    os.mkfifo(folder)


def _put_loop(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)


def _double_key(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text('{"hidden_size": 7,' + path.read_text().lstrip("{ \n"))


def _add_byte_order_mark(folder: Path) -> None:
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


PLACES = [
    Odd("folder a file", _put_file),
    Odd("folder a fifo", _put_fifo),
    Odd("folder a loop", _put_loop),
    Odd("folder gone", shutil.rmtree),
    Odd("duplicate keys", _double_key, runs=True),
    Odd("byte order mark", _add_byte_order_mark),
]
