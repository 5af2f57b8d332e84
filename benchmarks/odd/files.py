"""Odd files: of configurations, of tokenizers, in the place of files."""

import os
import shutil
from pathlib import Path

from odd.recipes import Odd, config, directory, fifo, gone, linked, replaced, sparse, written


def _deep(levels: int) -> str:
    return '{"model_type": "llama", "a": ' + "[" * levels + "]" * levels + "}"


FILES = [
    Odd("config absent", gone("config.json")),
    Odd("config empty", replaced("config.json", b"")),
    Odd("config directory", directory("config.json")),
    Odd("config fifo", fifo("config.json")),
    Odd("config device", linked("config.json", "/dev/zero")),
    Odd("config loop", linked("config.json", "config.json")),
    Odd("config dangling", linked("config.json", "nosuch")),
    Odd("config 1 GB", sparse("config.json", 2**30)),
    Odd("config not UTF-8", replaced("config.json", b'{"model_type": "\xff\xfe"}')),
    Odd("config UTF-16", replaced("config.json", '{"model_type": "llama"}'.encode("utf-16"))),
    Odd("config list", replaced("config.json", b"[1, 2]")),
    Odd("config number", replaced("config.json", b"3")),
    Odd("config null", replaced("config.json", b"null")),
    Odd("config of nothing", replaced("config.json", b"{}")),
    Odd("config cut", replaced("config.json", b'{"model_type": "lla')),
    Odd("config deep", replaced("config.json", _deep(100_000).encode())),
    Odd("config deep, a little", replaced("config.json", _deep(500).encode())),
    Odd("config NaN", config(rms_norm_eps=float("nan"))),
    Odd("config Infinity", config(rms_norm_eps=float("inf"))),
    Odd(
        "config long number",
        replaced("config.json", b'{"model_type":"llama","vocab_size":' + b"9" * 5000 + b"}"),
    ),
    Odd("config generation absent", gone("generation_config.json"), runs=True),
    Odd("generation broken", replaced("generation_config.json", b"{"), runs=True),
    Odd("generation list", replaced("generation_config.json", b"[]"), runs=True),
    Odd("generation fifo", fifo("generation_config.json")),
    Odd("generation eos text", written("generation_config.json", eos_token_id="x")),
    Odd("generation eos lists", written("generation_config.json", eos_token_id=[[0]])),
    Odd(
        "generation eos far", written("generation_config.json", eos_token_id=[0, 10**9]), runs=True
    ),
    Odd("generation eos float", written("generation_config.json", eos_token_id=1.5)),
    Odd("generation odd", written("generation_config.json", temperature="hot"), runs=True),
    Odd("generation max", written("generation_config.json", max_new_tokens=-5), runs=True),
    Odd("tokenizer absent", gone("tokenizer.json", "tokenizer_config.json")),
    Odd("tokenizer.json absent", gone("tokenizer.json")),
    Odd("tokenizer empty", replaced("tokenizer.json", b"")),
    Odd("tokenizer fifo", fifo("tokenizer.json")),
    Odd("tokenizer directory", directory("tokenizer.json")),
    Odd("tokenizer list", replaced("tokenizer.json", b"[]")),
    Odd("tokenizer of nothing", replaced("tokenizer.json", b"{}")),
    Odd("tokenizer cut", replaced("tokenizer.json", b'{"version": "1.0", "mod')),
    Odd("tokenizer no model", written("tokenizer.json", model={})),
    Odd(
        "tokenizer no tokens",
        written("tokenizer.json", model={"type": "WordLevel", "vocab": {}, "unk_token": " "}),
    ),
    Odd(
        "tokenizer ids huge",
        written(
            "tokenizer.json",
            model={"type": "WordLevel", "vocab": {"t": 2**32 - 1, " ": 7}, "unk_token": " "},
        ),
    ),
    Odd(
        "tokenizer ids beyond",
        written(
            "tokenizer.json",
            model={"type": "WordLevel", "vocab": {"t": 500, " ": 501}, "unk_token": " "},
        ),
    ),
    Odd(
        "tokenizer ids negative",
        written(
            "tokenizer.json", model={"type": "WordLevel", "vocab": {"t": -1}, "unk_token": "t"}
        ),
    ),
    Odd(
        "tokenizer no unknown",
        written("tokenizer.json", model={"type": "WordLevel", "vocab": {"?": 1}, "unk_token": "x"}),
    ),
    Odd("tokenizer pre odd", written("tokenizer.json", pre_tokenizer={"type": "NoSuch"})),
    Odd(
        "tokenizer pattern",
        written(
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
        written("tokenizer_config.json", tokenizer_class="NoSuch"),
        runs=True,
    ),
    Odd("tokenizer class number", written("tokenizer_config.json", tokenizer_class=3)),
    Odd("tokenizer config broken", replaced("tokenizer_config.json", b"{")),
    Odd("tokenizer config list", replaced("tokenizer_config.json", b"[]")),
    Odd("tokenizer config fifo", fifo("tokenizer_config.json")),
    Odd("tokenizer length odd", written("tokenizer_config.json", model_max_length="x")),
    Odd("tokenizer length small", written("tokenizer_config.json", model_max_length=4), runs=True),
    Odd("tokenizer special odd", written("tokenizer_config.json", unk_token=5)),
    Odd(
        "tokenizer code",
        written("tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]}),
        runs=True,
    ),
    Odd("special tokens broken", replaced("special_tokens_map.json", b"{"), runs=True),
    Odd("added tokens broken", replaced("added_tokens.json", b"["), runs=True),
    Odd("chat template fifo", fifo("chat_template.jinja")),
    Odd("chat template broken", replaced("chat_template.jinja", b"{% for"), runs=True),
]


def _as_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def _as_fifo(folder: Path) -> None:
    shutil.rmtree(folder)
    os.mkfifo(folder)


def _as_loop(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)


def _twice(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text('{"hidden_size": 7,' + path.read_text().lstrip("{ \n"))


def _marked(folder: Path) -> None:
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


PLACES = [
    Odd("folder a file", _as_file),
    Odd("folder a fifo", _as_fifo),
    Odd("folder a loop", _as_loop),
    Odd("folder gone", shutil.rmtree),
    Odd("duplicate keys", _twice, runs=True),
    Odd("byte order mark", _marked),
]
