"""Odd weights: headers, tensors, shards, other formats."""

import shutil
import struct
from collections.abc import Callable

import torch

from odd.recipes import (
    Odd,
    Recipe,
    all_of,
    cut,
    directory,
    fifo,
    file_bytes,
    header,
    json_keys,
    link,
    make_head,
    remove,
    shards,
    sparse,
    weights,
)


def _set(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Recipe:
    return weights(lambda kept: kept.update({name: change(kept[name]).contiguous()}))


QUERY = "model.layers.0.self_attn.q_proj.weight"
EMBEDDING = "model.embed_tokens.weight"

WEIGHTS = [
    Odd("weights absent", remove("model.safetensors")),
    Odd("weights empty", file_bytes("model.safetensors", b"")),
    Odd("weights 7 bytes", file_bytes("model.safetensors", b"1234567")),
    Odd("weights half", cut(0.5)),
    Odd("weights short by little", cut(0.999)),
    Odd("weights header cut", cut(0.001)),
    Odd("weights fifo", fifo("model.safetensors")),
    Odd("weights directory", directory("model.safetensors")),
    Odd("weights zero device", link("model.safetensors", "/dev/zero")),
    Odd("weights grown", sparse("model.safetensors", 2**33)),
    Odd("header 2^60", file_bytes("model.safetensors", struct.pack("<Q", 2**60) + b"{}")),
    Odd("header 2^64-1", file_bytes("model.safetensors", struct.pack("<Q", 2**64 - 1) + b"{}")),
    Odd("header 90 MB", file_bytes("model.safetensors", struct.pack("<Q", 90 * 2**20) + b"{}")),
    Odd("header no JSON", file_bytes("model.safetensors", struct.pack("<Q", 8) + b"notjson!")),
    Odd("header deep", file_bytes("model.safetensors", struct.pack("<Q", 20_000) + b"[" * 20_000)),
    Odd("header list", file_bytes("model.safetensors", struct.pack("<Q", 2) + b"[]")),
    Odd("header of nothing", file_bytes("model.safetensors", struct.pack("<Q", 2) + b"{}")),
    Odd("offsets overlap", header(lambda said: said[QUERY].update(said[EMBEDDING]))),
    Odd("offsets beyond", header(lambda said: said[QUERY].update(data_offsets=[0, 2**50]))),
    Odd("offsets backwards", header(lambda said: said[QUERY].update(data_offsets=[100, 0]))),
    Odd("offsets negative", header(lambda said: said[QUERY].update(data_offsets=[-4, 0]))),
    Odd("offsets text", header(lambda said: said[QUERY].update(data_offsets="x"))),
    Odd("shape huge", header(lambda said: said[QUERY].update(shape=[2**40, 2**40]))),
    Odd("shape negative", header(lambda said: said[QUERY].update(shape=[-1, 32]))),
    Odd("shape text", header(lambda said: said[QUERY].update(shape=["a"]))),
    Odd("shape turned", header(lambda said: said[QUERY].update(shape=[1024]))),
    Odd("dtype unknown", header(lambda said: said[QUERY].update(dtype="F7"))),
    Odd("dtype number", header(lambda said: said[QUERY].update(dtype=3))),
    Odd("dtype of half", header(lambda said: said[QUERY].update(dtype="BF16"))),
    Odd("dtype whole", header(lambda said: said[QUERY].update(dtype="I32"))),
    Odd("dtype keys absent", header(lambda said: said.update({QUERY: {}}))),
    Odd("metadata odd", header(lambda said: said.update(__metadata__=3))),
    Odd(
        "metadata tensorflow",
        header(lambda said: said.update(__metadata__={"format": "tf"})),
        runs=True,
    ),
    Odd("metadata absent", header(lambda said: said.pop("__metadata__", None)), runs=True),
    Odd("tensor missing", weights(lambda kept: kept.pop(QUERY))),
    Odd("tensors missing, many", weights(lambda kept: [kept.pop(each) for each in list(kept)[2:]])),
    Odd("tensor extra", weights(lambda kept: kept.update(nosuch=torch.zeros(3))), runs=True),
    Odd("tensor turned", _set(QUERY, lambda one: one.reshape(64, 16))),
    Odd("tensor cut", _set(QUERY, lambda one: one[:16].clone())),
    Odd("tensor scalar", _set(QUERY, lambda one: one.sum())),
    Odd("tensor empty", _set(QUERY, lambda one: one[:0].clone())),
    Odd("tensor whole numbers", _set(QUERY, lambda one: one.int())),
    Odd("tensor bool", _set(QUERY, lambda one: one > 0)),
    Odd("tensor complex", _set(QUERY, lambda one: one.to(torch.complex64))),
    Odd("tensor float8", _set(QUERY, lambda one: one.to(torch.float8_e4m3fn)), runs=True),
    Odd("tensor double", _set(QUERY, lambda one: one.double()), runs=True),
    Odd("weights NaN", _set(QUERY, lambda one: one * torch.nan)),
    Odd("weights Inf", _set(EMBEDDING, lambda one: one / 0)),
    Odd(
        "names of another",
        weights(lambda kept: [kept.update({f"x.{n}": kept.pop(n)}) for n in list(kept)]),
    ),
    Odd("shards", shards(), runs=True),
    Odd("shards missing", all_of(shards(), remove("model-00001-of-00002.safetensors"))),
    Odd("shards elsewhere", shards(file_1="nosuch.safetensors")),
    Odd("shards outside", all_of(shards(file_1="../draft/model.safetensors"))),
    Odd("shards absolute", shards(file_2="/etc/passwd")),
    Odd("shards pickled", shards(file_1="pytorch_model.bin")),
    Odd("shard fifo", all_of(shards(), fifo("model-00002-of-00002.safetensors"))),
    Odd("index broken", all_of(shards(), file_bytes("model.safetensors.index.json", b"{"))),
    Odd("index list", all_of(shards(), file_bytes("model.safetensors.index.json", b"[]"))),
    Odd("index no map", all_of(shards(), file_bytes("model.safetensors.index.json", b"{}"))),
    Odd(
        "index map odd",
        all_of(shards(), json_keys("model.safetensors.index.json", weight_map={QUERY: 3})),
    ),
    Odd(
        "index metadata odd",
        all_of(shards(), json_keys("model.safetensors.index.json", metadata=3)),
    ),
    Odd("index fifo", all_of(shards(), fifo("model.safetensors.index.json"))),
    Odd(
        "pickled only",
        all_of(
            remove("model.safetensors"), lambda folder: torch.save({}, folder / "pytorch_model.bin")
        ),
    ),
    Odd(
        "GGUF only",
        all_of(remove("model.safetensors"), file_bytes("model.gguf", b"GGUF\x03\0\0\0")),
    ),
    Odd(
        "GGUF alone",
        all_of(remove("model.safetensors", "config.json"), file_bytes("m.gguf", b"GGUF")),
    ),
    Odd(
        "adapter",
        all_of(
            remove("model.safetensors", "config.json"),
            file_bytes("adapter_config.json", b'{"base_model_name_or_path": "org/base"}'),
        ),
    ),
    Odd(
        "adapter beside",
        file_bytes(
            "adapter_config.json", b'{"base_model_name_or_path": "org/base", "peft_type": "LORA"}'
        ),
    ),
    Odd("adapter fifo", fifo("adapter_config.json")),
    Odd("head as a model", make_head),
    Odd("folder empty", lambda folder: [shutil.rmtree(folder), folder.mkdir()]),
]
