"""A checkpoint's files, looked at before anybody opens them: kinds, sizes, headers, JSON.

A folder comes from anywhere. Nothing here waits for a pipe, reads a device, or takes memory by a
number that a file says: what is wrong is a `Misfit` with its reason.
"""

import fnmatch
import itertools
import json
import math
import os
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors import safe_open

from specprof.amounts import LARGEST_TOKENIZER_BYTES
from specprof.errors import summarise_error
from specprof.reading import irregular_kind, read_bytes

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MOST_CONFIG_BYTES, MOST_TEXT_BYTES = 2**24, LARGEST_TOKENIZER_BYTES
"""Of a configuration; of anything else that is read whole, a tokenizer above all."""
READ_WHOLE = (
    *("*config.json", "*.index.json", "tokenizer*.json", "vocab.*", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.*", "*.model"),
)
"""Files of a checkpoint that its loaders read whole; what else lies beside them is nobody's."""
OTHER_WEIGHTS = {
    ".gguf": "its weights are GGUF",
    ".bin": "its weights are pickled, which can run code",
    ".pt": "its weights are pickled, which can run code",
    ".pth": "its weights are pickled, which can run code",
}


class Misfit(Exception):
    """Why a checkpoint can't be loaded, and what to do about it."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a header says of a tensor."""

    dtype: str
    """As safetensors writes it: `F32`, `BF16`, `I64` ..."""
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes it takes."""
        digits = "".join(itertools.takewhile(str.isdigit, self.dtype.lstrip(string.ascii_letters)))
        return math.prod(self.shape) * int(digits or 8) // 8


class Files(Protocol):
    """Where a checkpoint's files come from."""

    def path(self, name: str) -> Path | None:
        """Return where a file lies here; None where the checkpoint has none of that name."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's files."""

    place: Path

    def path(self, name: str) -> Path | None:
        """Return where a file lies; None where there is none. Misfit where it is no file."""
        path = self.place / name
        if not os.path.lexists(path):
            return None
        _check_kind(path)
        return path

    def check(self) -> None:
        """Refuse a folder with anything in it that must not be opened, or of another format."""
        names = sorted(os.listdir(self.place))  # noqa: PTH208 - names are all that is wanted
        for name in names:
            if _is_read_whole(name):
                _check_kind(self.place / name)
        if "adapter_config.json" in names:
            raise Misfit("it is an adapter", "merge it into its base model, and give that")
        if CONFIG not in names:
            raise Misfit(self._instead(names) or f"it holds no {CONFIG}")

    def check_weights(self) -> None:
        """Refuse a folder without safetensors."""
        names = sorted(os.listdir(self.place))  # noqa: PTH208
        if not {WEIGHTS, INDEX} & set(names):
            reason = self._instead(names) or f"it holds neither {WEIGHTS} nor {INDEX}"
            raise Misfit(reason, "give a folder with its weights as safetensors")

    def _instead(self, names: list[str]) -> str | None:
        found = (OTHER_WEIGHTS.get(Path(name).suffix) for name in names)
        return next((each for each in found if each), None)


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON object."""
    _check_kind(path)
    try:
        text = read_bytes(path, MOST_TEXT_BYTES).decode("utf-8")
        read = json.loads(text)
    except UnicodeDecodeError as trouble:
        raise Misfit(f"{path.name} is no UTF-8: {trouble.reason}") from trouble
    except ValueError as trouble:
        raise Misfit(f"{path.name} is no JSON: {trouble}") from trouble
    except RecursionError as trouble:
        raise Misfit(f"{path.name} is nested too deep") from trouble
    except OSError as trouble:
        raise Misfit(f"{path.name} can't be read: {trouble.strerror}") from trouble
    if not isinstance(read, dict):
        raise Misfit(f"{path.name} holds no JSON object")
    return read


def tensors(files: Files) -> dict[str, Tensor] | None:
    """Return what all of the weights' headers say; None where there are no safetensors."""
    whole = files.path(WEIGHTS)
    if whole is not None:
        return dict(_header(whole))
    index = files.path(INDEX)
    if index is None:
        return None
    found: dict[str, Tensor] = {}
    for shard in _shards(index):
        path = files.path(shard)
        if path is None:
            raise Misfit(f"{INDEX} names {shard}, which isn't there", "download it again")
        found.update(_header(path))
    return found


def _shards(index: Path) -> list[str]:
    """Return the files that an index names, each of which must lie beside it."""
    mapped = read_json(index).get("weight_map")
    if not isinstance(mapped, dict) or not mapped:
        raise Misfit(f"{INDEX} has no weight_map")
    shards: dict[str, None] = {}
    for shard in mapped.values():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise Misfit(f"{INDEX} names a file outside the folder: {shard!r}")
        if not shard.endswith(".safetensors"):
            raise Misfit(f"{INDEX} names {shard!r}, which is no safetensors")
        shards[shard] = None
    return list(shards)


def _header(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor's name and what the file's header says of it; reads nothing else."""
    _check_kind(path)
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                part = file.get_slice(name)
                yield name, Tensor(str(part.get_dtype()), tuple(part.get_shape()))
    except Exception as trouble:
        reason = summarise_error(trouble, (Exception,))
        raise Misfit(f"{path.name} is no whole safetensors file: {reason}") from trouble


def _is_read_whole(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, form) for form in READ_WHOLE)


def _check_kind(path: Path) -> None:
    """Refuse what is no regular file, or larger than anything of its kind."""
    try:
        found = path.stat()
    except OSError as trouble:
        raise Misfit(f"{path.name} can't be read: {trouble.strerror}") from trouble
    if kind := irregular_kind(found.st_mode):
        raise Misfit(f"{path.name} is {kind}, no regular file")
    most = MOST_CONFIG_BYTES if path.name.endswith(CONFIG) else MOST_TEXT_BYTES
    if _is_read_whole(path.name) and found.st_size > most:
        title = f"{path.name} is {found.st_size / 2**20:.0f} MiB long"
        raise Misfit(title, f"no such file is longer than {most >> 20} MiB")
    if not os.access(path, os.R_OK):
        raise Misfit(f"{path.name} can't be read: permission denied")
