"""A model folder with code wherever transformers looks for it; the code leaves a mark."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

MODULE = """
import pathlib
with pathlib.Path({mark!r}).open("a") as file:
    file.write(__name__ + "\\n")
raise RuntimeError("foreign code ran")
"""


KERNELS = """
import pathlib
__version__ = {version!r}
def get_kernel(*asked, **given):
    pathlib.Path({mark!r}).write_text(str(asked))
    raise RuntimeError("a kernel was fetched")
def use_kernel_forward_from_hub(*names):
    return lambda made: made
use_kernelized_func = use_kernel_func_from_hub = use_kernel_forward_from_hub
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {{}})
"""
"""A package `kernels` with all that transformers uses of it before it fetches a kernel."""


class Pickled:
    """Leaves the mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.write_text, (self.mark, "unpickled\n"))


def write_folder(place: Path, mark: Path, **config: object) -> Path:
    """Write the folder: modules for config, model, tokenizer and generate, and pickled weights."""
    (place / "custom_generate").mkdir(parents=True)
    for name in ("modeling_evil.py", "tokenization_evil.py", "custom_generate/generate.py"):
        (place / name).write_text(MODULE.format(mark=str(mark)))
    code = {
        "AutoConfig": "modeling_evil.EvilConfig",
        "AutoModelForCausalLM": "modeling_evil.EvilModel",
    }
    written = {"model_type": "evil", "architectures": ["EvilModel"], "auto_map": code} | config
    tokens = {"tokenizer_class": "EvilTokenizer", "auto_map": {"AutoTokenizer": [
        "tokenization_evil.EvilTokenizer", None]}}  # fmt: skip
    generation = {"custom_generate": str(place), "trust_remote_code": True}
    (place / "config.json").write_text(json.dumps(written))
    (place / "tokenizer_config.json").write_text(json.dumps(tokens))
    (place / "generation_config.json").write_text(json.dumps(generation))
    (place / "pytorch_model.bin").write_bytes(pickle.dumps(Pickled(mark), protocol=2))
    return place


def write_kernels(place: Path, mark: Path) -> str:
    """Write a package `kernels` that leaves the mark if a kernel is fetched; return its folder."""
    from transformers.utils.import_utils import KERNELS_MIN_VERSION

    (place / "kernels").mkdir(parents=True)
    written = KERNELS.format(version=KERNELS_MIN_VERSION, mark=str(mark))
    (place / "kernels" / "__init__.py").write_text(written)
    return str(place)


def run_specprof(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command of specprof in a folder, offline."""
    import os

    root = str(Path(__file__).parents[2])
    also = environment.pop("PYTHONPATH", "")
    root = os.pathsep.join([root, *([also] if also else [])])
    given = os.environ | {"PYTHONPATH": root, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, "-m", "specprof", *map(str, arguments)],
        cwd=cwd, env=given | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
