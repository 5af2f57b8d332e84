"""Check a checkpoint's files before a library opens them: kinds, sizes, headers, JSON.

A folder may come from anywhere. Nothing here waits for a pipe, reads a device, or allocates memory
of a size that a file states. What is wrong raises a `Misfit` with its reason.
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
MAX_CONFIG_BYTES, MAX_TEXT_BYTES = 2**24, LARGEST_TOKENIZER_BYTES
"""Limits for a configuration, and for any other file that is read whole, such as a tokenizer."""
READ_WHOLE = (
    *("*config.json", "*.index.json", "tokenizer*.json", "vocab.*", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.*", "*.model"),
)
"""Names of the files that a checkpoint's loaders read whole."""
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
    """A tensor as a header describes it."""

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
        """Return a file's local path; None if the checkpoint has no file of that name."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's files."""

    place: Path

    def path(self, name: str) -> Path | None:
        """Return a file's path; None if there is none. Raises Misfit if it is no regular file."""
        path = self.place / name
        if not os.path.lexists(path):
            return None
        _check_kind(path)
        return path

    def check(self) -> None:
        """Refuse a folder with a file that must not be opened, or in another format."""
        names = sorted(os.listdir(self.place))  # noqa: PTH208 - names are all that is wanted
        for name in names:
            if _is_read_whole(name):
                _check_kind(self.place / name)
        if "adapter_config.json" in names:
            raise Misfit(
                "it is an adapter", "merge it into its base model, and give the merged model"
            )
        if CONFIG not in names:
            raise Misfit(self._other_format(names) or f"it holds no {CONFIG}")

    def check_weights(self) -> None:
        """Refuse a folder without safetensors."""
        names = sorted(os.listdir(self.place))  # noqa: PTH208
        if not {WEIGHTS, INDEX} & set(names):
            reason = self._other_format(names) or f"it holds neither {WEIGHTS} nor {INDEX}"
            raise Misfit(reason, "give a folder with its weights as safetensors")

    def _other_format(self, names: list[str]) -> str | None:
        found = (OTHER_WEIGHTS.get(Path(name).suffix) for name in names)
        return next((each for each in found if each), None)


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON object. Raises Misfit if the file holds none."""
    _check_kind(path)
    try:
        text = read_bytes(path, MAX_TEXT_BYTES).decode("utf-8")
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


def read_headers(files: Files) -> dict[str, Tensor] | None:
    """Return all tensors by name, from the weights' headers; None if there are no safetensors."""
    whole = files.path(WEIGHTS)
    if whole is not None:
        return dict(_read_header(whole))
    index = files.path(INDEX)
    if index is None:
        return None
    found: dict[str, Tensor] = {}
    for shard in _shards(index):
        path = files.path(shard)
        if path is None:
            raise Misfit(f"{INDEX} names {shard}, which isn't there", "download it again")
        found.update(_read_header(path))
    return found


def _shards(index: Path) -> list[str]:
    """Return the files that an index names. Raises Misfit if one would lie outside the folder."""
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


def _read_header(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor's name and description, from the file's header; read nothing else."""
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
    """Refuse a path that is no regular file, or a file that is too large for its kind."""
    try:
        found = path.stat()
    except OSError as trouble:
        raise Misfit(f"{path.name} can't be read: {trouble.strerror}") from trouble
    if kind := irregular_kind(found.st_mode):
        raise Misfit(f"{path.name} is {kind}, no regular file")
    most = MAX_CONFIG_BYTES if path.name.endswith(CONFIG) else MAX_TEXT_BYTES
    if _is_read_whole(path.name) and found.st_size > most:
        title = f"{path.name} is {found.st_size / 2**20:.0f} MiB long"
        raise Misfit(title, f"a file of this kind may have {most >> 20} MiB at most")
    if not os.access(path, os.R_OK):
        raise Misfit(f"{path.name} can't be read: permission denied")
