"""A tiny healthy model folder, and recipes that change a copy of it."""

import json
import os
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
    """A value that stands for the removal of its key."""


@dataclass(frozen=True)
class Odd:
    """A recipe, and whether a run on its folder may end well."""

    name: str
    make: Recipe
    runs: bool = False


def write_healthy(folder: Path, seed: int = 0, kind: str = "llama", **changed: object) -> Path:
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
    return json_keys("config.json", **changed)


def json_keys(file: str, **changed: object) -> Recipe:
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


def file_bytes(file: str, content: bytes) -> Recipe:
    """Return a recipe that replaces a file's bytes."""
    return lambda folder: (folder / file).write_bytes(content)


def remove(*files: str) -> Recipe:
    """Return a recipe that removes files."""
    return lambda folder: [(folder / file).unlink(missing_ok=True) for file in files]


def fifo(file: str) -> Recipe:
    """Return a recipe that replaces a file by a pipe that no process writes to."""

    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return make


def directory(file: str) -> Recipe:
    """Return a recipe that replaces a file by a folder."""

    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).mkdir()

    return make


def sparse(file: str, size: int) -> Recipe:
    """Return a recipe that extends a file to `size` bytes without writing them."""
    return lambda folder: os.truncate(folder / file, size)


def link(file: str, goal: str) -> Recipe:
    """Return a recipe that replaces a file by a link."""

    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to(goal)

    return make


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Recipe:
    """Return a recipe that changes the tensors; the file stays valid."""

    def make(folder: Path) -> None:
        kept = load_file(folder / "model.safetensors")
        change(kept)
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

    return make


def header(change: Callable[[dict[str, Any]], object]) -> Recipe:
    """Return a recipe that changes the header of the weights' file."""

    def make(folder: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        content = json.loads(data[8 : 8 + size])
        change(content)
        changed = json.dumps(content).encode()
        path.write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + size :])

    return make


def cut(share: float) -> Recipe:
    """Return a recipe that keeps only the first `share` of the weights' file."""

    def make(folder: Path) -> None:
        path = folder / "model.safetensors"
        os.truncate(path, int(path.stat().st_size * share))

    return make


def shards(**said: str) -> Recipe:
    """Return a recipe that splits the weights in two; `said` replaces file names of the index."""

    def make(folder: Path) -> None:
        whole = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        names, index = sorted(whole), {}
        for number, part in enumerate((names[::2], names[1::2]), start=1):
            file = f"model-{number:05d}-of-00002.safetensors"
            save_file({name: whole[name] for name in part}, folder / file, {"format": "pt"})
            index |= dict.fromkeys(part, said.get(f"file_{number}", file))
        content = {"metadata": {"total_size": 1}, "weight_map": index}
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return make


def all_of(*recipes: Recipe) -> Recipe:
    """Return a recipe that follows several recipes in turn."""
    return lambda folder: [each(folder) for each in recipes]


def make_head(folder: Path) -> None:
    """Turn the model into an EAGLE head: one layer, and the matrices that join it to a target."""
    kept = load_file(folder / "model.safetensors")
    layer = {
        key.removeprefix("model."): value
        for key, value in kept.items()
        if key.startswith("model.layers.0.") and "input_layernorm" not in key
    }
    layer |= {"fc.weight": torch.randn(32, 64), "embed_tokens.weight": torch.randn(VOCABULARY, 32)}
    save_file(layer, folder / "model.safetensors", metadata={"format": "pt"})
    config(num_hidden_layers=1)(folder)


def ask_own_code(folder: Path) -> None:
    """Make the model ask for code of its own, which leaves a trace if it runs."""
    trace = "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\n"
    (folder / "configuration_own.py").write_text(trace)
    config(model_type="own", auto_map={"AutoConfig": "configuration_own.Own"})(folder)


def other_kind(kind: str, **changed: object) -> Recipe:
    """Return a recipe that writes the configuration of another kind of model."""

    def make(folder: Path) -> None:
        kept = json.loads(CONFIG_MAPPING[kind](**changed).to_json_string(use_diff=False))
        (folder / "config.json").write_text(json.dumps(kept | {"model_type": kind}))

    return make
