"""Odd model folders: a tiny healthy one, and what each recipe does to a copy of it."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

VOCABULARY = 96
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
HUGE = 2**40
Recipe = Callable[[Path], object]


class Absent:
    """In the place of a value: the key is taken away."""


@dataclass(frozen=True)
class Odd:
    """A recipe, and whether a run with what it leaves behind may end well."""

    name: str
    make: Recipe
    runs: bool = False


def healthy(folder: Path, seed: int = 0, kind: str = "llama", **changed: object) -> Path:
    """Write a tiny model with a tokenizer of its own."""
    torch.manual_seed(seed)
    made = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**(SHAPE | changed)))
    made.save_pretrained(folder)
    letters = [chr(32 + i) for i in range(VOCABULARY - 2)] + ["\n", "¤"]
    table = Tokenizer(models.WordLevel({c: i for i, c in enumerate(letters)}, unk_token=" "))
    table.pre_tokenizer = pre_tokenizers.Split("", behavior="isolated")
    PreTrainedTokenizerFast(tokenizer_object=table, unk_token=" ").save_pretrained(folder)
    return folder


def config(**changed: object) -> Recipe:
    """Return a recipe that changes keys of config.json."""
    return written("config.json", **changed)


def written(file: str, **changed: object) -> Recipe:
    """Return a recipe that changes keys of a JSON file of the folder."""

    def make(folder: Path) -> None:
        path = folder / file
        kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        kept |= changed
        kept = {key: value for key, value in kept.items() if value is not Absent}
        path.write_text(json.dumps(kept))

    return make


def rope(**parameters: object) -> Recipe:
    """Return a recipe that writes other rotary parameters."""
    return config(rope_parameters={"rope_type": "default", "rope_theta": 10_000.0} | parameters)


def replaced(file: str, content: bytes) -> Recipe:
    """Return a recipe that writes a file's bytes anew."""
    return lambda folder: (folder / file).write_bytes(content)


def gone(*files: str) -> Recipe:
    """Return a recipe that takes files away."""
    return lambda folder: [(folder / file).unlink(missing_ok=True) for file in files]


def fifo(file: str) -> Recipe:
    """Return a recipe that puts a pipe nobody writes in a file's place."""

    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return make


def directory(file: str) -> Recipe:
    """Return a recipe that puts a folder in a file's place."""

    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).mkdir()

    return make


def sparse(file: str, size: int) -> Recipe:
    """Return a recipe that makes a file long, of nothing."""
    return lambda folder: os.truncate(folder / file, size)


def linked(file: str, goal: str) -> Recipe:
    """Return a recipe that makes a file a link."""

    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to(goal)

    return make


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Recipe:
    """Return a recipe that changes the tensors and keeps the file whole."""

    def make(folder: Path) -> None:
        kept = load_file(folder / "model.safetensors")
        change(kept)
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

    return make


def header(change: Callable[[dict[str, Any]], object]) -> Recipe:
    """Return a recipe that changes what the header of the weights says of them."""

    def make(folder: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        said = json.loads(data[8 : 8 + size])
        change(said)
        told = json.dumps(said).encode()
        path.write_bytes(struct.pack("<Q", len(told)) + told + data[8 + size :])

    return make


def cut(share: float) -> Recipe:
    """Return a recipe that keeps only the first share of the weights' file."""

    def make(folder: Path) -> None:
        path = folder / "model.safetensors"
        os.truncate(path, int(path.stat().st_size * share))

    return make


def sharded(**said: str) -> Recipe:
    """Return a recipe that splits the weights in two; `said` replaces file names of the index."""

    def make(folder: Path) -> None:
        whole = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        names, index = sorted(whole), {}
        for number, part in enumerate((names[::2], names[1::2]), start=1):
            file = f"model-{number:05d}-of-00002.safetensors"
            save_file({name: whole[name] for name in part}, folder / file, {"format": "pt"})
            index |= dict.fromkeys(part, said.get(f"file_{number}", file))
        told = {"metadata": {"total_size": 1}, "weight_map": index}
        (folder / "model.safetensors.index.json").write_text(json.dumps(told))

    return make


def both(*recipes: Recipe) -> Recipe:
    """Return a recipe that follows several."""
    return lambda folder: [each(folder) for each in recipes]


def head(folder: Path) -> None:
    """Make it an EAGLE head: one layer, and what joins it to a target."""
    kept = load_file(folder / "model.safetensors")
    layer = {
        key.removeprefix("model."): value
        for key, value in kept.items()
        if key.startswith("model.layers.0.") and "input_layernorm" not in key
    }
    layer |= {"fc.weight": torch.randn(32, 64), "embed_tokens.weight": torch.randn(VOCABULARY, 32)}
    save_file(layer, folder / "model.safetensors", metadata={"format": "pt"})
    config(num_hidden_layers=1)(folder)


def own_code(folder: Path) -> None:
    """Make it ask for code of its own, which leaves a trace if it runs."""
    trace = "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\n"
    (folder / "configuration_own.py").write_text(trace)
    config(model_type="own", auto_map={"AutoConfig": "configuration_own.Own"})(folder)


def other_kind(kind: str, **changed: object) -> Recipe:
    """Return a recipe that leaves the configuration of another kind of model."""

    def make(folder: Path) -> None:
        kept = json.loads(CONFIG_MAPPING[kind](**changed).to_json_string(use_diff=False))
        (folder / "config.json").write_text(json.dumps(kept | {"model_type": kind}))

    return make


def _deep(levels: int) -> str:
    return '{"model_type": "llama", "a": ' + "[" * levels + "]" * levels + "}"


def _set(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Recipe:
    return weights(lambda kept: kept.update({name: change(kept[name]).contiguous()}))


QUERY = "model.layers.0.self_attn.q_proj.weight"
EMBEDDING = "model.embed_tokens.weight"

SIZES = [
    Odd(f"{field} {value!r}", config(**{field: value}), runs)
    for field, value, runs in [
        ("num_hidden_layers", 0, False),
        ("num_hidden_layers", -1, False),
        ("num_hidden_layers", 10**9, False),
        ("num_hidden_layers", 5000, False),
        ("num_hidden_layers", 3, False),
        ("num_hidden_layers", 1, True),
        ("num_hidden_layers", "2", False),
        ("num_hidden_layers", 2.5, False),
        ("num_hidden_layers", None, False),
        ("num_hidden_layers", True, False),
        ("num_hidden_layers", [2], False),
        ("hidden_size", 0, False),
        ("hidden_size", -32, False),
        ("hidden_size", HUGE, False),
        ("hidden_size", 2**20, False),
        ("hidden_size", 33, False),
        ("hidden_size", "32", False),
        ("hidden_size", None, False),
        ("hidden_size", {"a": 1}, False),
        ("vocab_size", 0, False),
        ("vocab_size", -96, False),
        ("vocab_size", 2**31, False),
        ("vocab_size", 2**31 - 1, False),
        ("vocab_size", 48, False),
        ("vocab_size", 10**30, False),
        ("vocab_size", "many", False),
        ("intermediate_size", 0, False),
        ("intermediate_size", HUGE, False),
        ("intermediate_size", 65, False),
        ("num_attention_heads", 0, False),
        ("num_attention_heads", 5, False),
        ("num_attention_heads", -4, False),
        ("num_attention_heads", "4", False),
        ("num_attention_heads", None, False),
        ("num_key_value_heads", 3, False),
        ("num_key_value_heads", 8, False),
        ("num_key_value_heads", 0, False),
        ("num_key_value_heads", -2, False),
        ("head_dim", 0, False),
        ("head_dim", 7, False),
        ("head_dim", -8, False),
        ("head_dim", HUGE, False),
        ("head_dim", "8", False),
        ("max_position_embeddings", 0, False),
        ("max_position_embeddings", -1, False),
        ("max_position_embeddings", HUGE, False),
        ("max_position_embeddings", "512", False),
        ("max_position_embeddings", 16, True),
        ("rms_norm_eps", "small", False),
        ("rms_norm_eps", -1e9, False),
        ("initializer_range", "x", False),
        ("attention_dropout", 7, True),
        ("pad_token_id", 10**6, False),
        ("pad_token_id", -1, True),
    ]
]
KINDS = [
    Odd("model_type unknown", config(model_type="nosuch")),
    Odd("model_type number", config(model_type=7)),
    Odd("model_type absent", config(model_type=Absent)),
    Odd("model_type null", config(model_type=None)),
    Odd("model_type of others", config(model_type="gpt2")),
    Odd("model_type gemma", config(model_type="gemma"), runs=True),
    Odd("architectures absent", config(architectures=Absent), runs=True),
    Odd("architectures unknown", config(architectures=["NoSuchForCausalLM"]), runs=True),
    Odd("architectures number", config(architectures=3)),
    Odd("architectures empty", config(architectures=[]), runs=True),
    Odd("architectures of lists", config(architectures=[[1]])),
    Odd("kind mamba", other_kind("mamba", hidden_size=32, num_hidden_layers=2)),
    Odd("kind rwkv", other_kind("rwkv", hidden_size=32, num_hidden_layers=2)),
    Odd("kind t5", other_kind("t5", d_model=32, num_layers=2, num_heads=4)),
    Odd("kind bart", other_kind("bart", d_model=32, decoder_layers=2)),
    Odd("kind whisper", other_kind("whisper", d_model=32)),
    Odd("kind vit", other_kind("vit", hidden_size=32, num_hidden_layers=2)),
    Odd("kind clip", other_kind("clip")),
    Odd("kind bert", other_kind("bert", hidden_size=32, num_hidden_layers=2)),
    Odd("kind llava", other_kind("llava")),
    Odd("kind jamba", other_kind("jamba", hidden_size=32, num_hidden_layers=8)),
    Odd("kind qwen3_next", other_kind("qwen3_next", hidden_size=32, num_hidden_layers=4)),
    Odd("own code", own_code),
    Odd("own code of a known kind", config(auto_map={"AutoConfig": "x.Y"}), runs=True),
    Odd("own code abroad", config(model_type="own", auto_map={"AutoConfig": "org/name--x.Y"})),
    Odd("auto_map number", config(auto_map=5)),
    Odd("tie_word_embeddings text", config(tie_word_embeddings="yes")),
    Odd("tie_word_embeddings true", config(tie_word_embeddings=True), runs=True),
    Odd("tie_word_embeddings null", config(tie_word_embeddings=None)),
    Odd("hidden_act unknown", config(hidden_act="nosuch")),
    Odd("hidden_act number", config(hidden_act=3)),
    Odd("hidden_act null", config(hidden_act=None)),
    Odd("attn_implementation unknown", config(_attn_implementation="nosuch"), runs=True),
    Odd("attention_bias text", config(attention_bias="x")),
    Odd("attention_bias true", config(attention_bias=True)),
    Odd("layer_types short", config(layer_types=["full_attention"])),
    Odd("layer_types unknown", config(layer_types=["nosuch", "nosuch"])),
    Odd("layer_types numbers", config(layer_types=[1, 2])),
    Odd("sliding_window text", config(sliding_window="x")),
    Odd("quantised gptq", config(quantization_config={"quant_method": "gptq", "bits": 4})),
    Odd("quantised bnb", config(quantization_config={"load_in_4bit": True})),
    Odd("quantised unknown", config(quantization_config={"quant_method": "nosuch"}), runs=True),
    Odd("quantised number", config(quantization_config=3)),
    Odd("quantised empty", config(quantization_config={})),
    Odd("text_config number", config(text_config=7)),
    Odd("is_encoder_decoder", config(is_encoder_decoder=True), runs=True),
    Odd("use_cache false", config(use_cache=False), runs=True),
    Odd("transformers_version odd", config(transformers_version=[1]), runs=True),
    Odd("unknown keys", config(nosuch={"a": [1, 2]}), runs=True),
    Odd("private keys", config(_name_or_path="/etc", _commit_hash=3, to_dict=1)),
    Odd("keys of the class", config(from_pretrained="x", get_text_config="y")),
]
NUMBERS = [
    Odd(f"{field} {value!r}", config(**{field: value}), runs)
    for field, value, runs in [
        ("dtype", "float7", False),
        ("dtype", 12, False),
        ("dtype", ["float32"], False),
        ("dtype", "nn", False),
        ("dtype", "float16", True),
        ("dtype", {"": "float32"}, False),
        ("torch_dtype", "float7", False),
        ("torch_dtype", 12, False),
        ("torch_dtype", None, True),
        ("rope_parameters", 5, False),
        ("rope_parameters", [], False),
        ("rope_parameters", None, True),
        ("rope_parameters", "default", False),
        ("rope_scaling", {"type": "linear"}, False),
        ("rope_scaling", {"type": "nosuch", "factor": 2.0}, False),
        ("rope_scaling", {"rope_type": "dynamic", "factor": "x"}, False),
        ("rope_theta", "x", False),
        ("eos_token_id", "end", False),
        ("eos_token_id", 10**6, True),
        ("eos_token_id", -1, True),
        ("eos_token_id", [0, "x"], False),
        ("eos_token_id", {"a": 1}, False),
        ("eos_token_id", 2**70, False),
        ("bos_token_id", "x", False),
        ("bos_token_id", [1], False),
    ]
]
ROPES = [
    Odd(f"rope {told!r}", rope(**told), runs)
    for told, runs in [
        ({"rope_type": "nosuch"}, False),
        ({"rope_type": 3}, False),
        ({"rope_type": "linear", "factor": 0.0}, False),
        ({"rope_type": "linear", "factor": -2.0}, False),
        ({"rope_type": "linear"}, False),
        ({"rope_type": "linear", "factor": "4"}, False),
        ({"rope_type": "linear", "factor": [4]}, False),
        ({"rope_type": "dynamic", "factor": 0}, False),
        ({"rope_type": "dynamic"}, False),
        ({"rope_type": "yarn", "factor": 4.0}, True),
        ({"rope_type": "yarn", "factor": 0.0}, False),
        ({"rope_type": "yarn", "factor": 4.0, "beta_fast": "x"}, False),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 0}, False),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": "x"}, False),
        ({"rope_type": "longrope", "factor": 4.0}, False),
        ({"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}, True),
        ({"rope_type": "llama3", "factor": 8.0}, False),
        ({"rope_type": "default", "rope_theta": -1.0}, False),
        ({"rope_type": "default", "rope_theta": 0}, False),
        ({"rope_type": "default", "rope_theta": "x"}, False),
        ({"rope_type": "default", "rope_theta": None}, False),
        ({"rope_type": "default", "rope_theta": 1e308}, True),
        ({"rope_type": "default", "partial_rotary_factor": 0.0}, False),
        ({"rope_type": "default", "partial_rotary_factor": 7.0}, False),
        ({"rope_type": "default", "partial_rotary_factor": "x"}, False),
        ({"full_attention": {"rope_type": "default"}}, True),
    ]
]
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
WEIGHTS = [
    Odd("weights absent", gone("model.safetensors")),
    Odd("weights empty", replaced("model.safetensors", b"")),
    Odd("weights 7 bytes", replaced("model.safetensors", b"1234567")),
    Odd("weights half", cut(0.5)),
    Odd("weights short by little", cut(0.999)),
    Odd("weights header cut", cut(0.001)),
    Odd("weights fifo", fifo("model.safetensors")),
    Odd("weights directory", directory("model.safetensors")),
    Odd("weights zero device", linked("model.safetensors", "/dev/zero")),
    Odd("weights grown", sparse("model.safetensors", 2**33)),
    Odd("header 2^60", replaced("model.safetensors", struct.pack("<Q", 2**60) + b"{}")),
    Odd("header 2^64-1", replaced("model.safetensors", struct.pack("<Q", 2**64 - 1) + b"{}")),
    Odd("header 90 MB", replaced("model.safetensors", struct.pack("<Q", 90 * 2**20) + b"{}")),
    Odd("header no JSON", replaced("model.safetensors", struct.pack("<Q", 8) + b"notjson!")),
    Odd("header deep", replaced("model.safetensors", struct.pack("<Q", 20_000) + b"[" * 20_000)),
    Odd("header list", replaced("model.safetensors", struct.pack("<Q", 2) + b"[]")),
    Odd("header of nothing", replaced("model.safetensors", struct.pack("<Q", 2) + b"{}")),
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
    Odd("shards", sharded(), runs=True),
    Odd("shards missing", both(sharded(), gone("model-00001-of-00002.safetensors"))),
    Odd("shards elsewhere", sharded(file_1="nosuch.safetensors")),
    Odd("shards outside", both(sharded(file_1="../draft/model.safetensors"))),
    Odd("shards absolute", sharded(file_2="/etc/passwd")),
    Odd("shards pickled", sharded(file_1="pytorch_model.bin")),
    Odd("shard fifo", both(sharded(), fifo("model-00002-of-00002.safetensors"))),
    Odd("index broken", both(sharded(), replaced("model.safetensors.index.json", b"{"))),
    Odd("index list", both(sharded(), replaced("model.safetensors.index.json", b"[]"))),
    Odd("index no map", both(sharded(), replaced("model.safetensors.index.json", b"{}"))),
    Odd(
        "index map odd",
        both(sharded(), written("model.safetensors.index.json", weight_map={QUERY: 3})),
    ),
    Odd("index metadata odd", both(sharded(), written("model.safetensors.index.json", metadata=3))),
    Odd("index fifo", both(sharded(), fifo("model.safetensors.index.json"))),
    Odd(
        "pickled only",
        both(
            gone("model.safetensors"), lambda folder: torch.save({}, folder / "pytorch_model.bin")
        ),
    ),
    Odd("GGUF only", both(gone("model.safetensors"), replaced("model.gguf", b"GGUF\x03\0\0\0"))),
    Odd("GGUF alone", both(gone("model.safetensors", "config.json"), replaced("m.gguf", b"GGUF"))),
    Odd(
        "adapter",
        both(
            gone("model.safetensors", "config.json"),
            replaced("adapter_config.json", b'{"base_model_name_or_path": "org/base"}'),
        ),
    ),
    Odd(
        "adapter beside",
        replaced(
            "adapter_config.json", b'{"base_model_name_or_path": "org/base", "peft_type": "LORA"}'
        ),
    ),
    Odd("adapter fifo", fifo("adapter_config.json")),
    Odd("head as a model", head),
    Odd("folder empty", lambda folder: [shutil.rmtree(folder), folder.mkdir()]),
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
FOLDERS = [*SIZES, *KINDS, *NUMBERS, *ROPES, *FILES, *WEIGHTS, *PLACES]
"""Each is made of a copy of a healthy folder, and given as the target or the draft."""
