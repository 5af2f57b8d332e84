"""What a capture says of the machine, and whether a run fits into its memory."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import psutil
import torch

from specprof.errors import EnvironmentMissing
from specprof.records import ModelFacts

PACKAGES = ("torch", "transformers", "numpy", "nvidia-ml-py", "scikit-learn", "flash-attn")
"""scikit-learn too: where it is installed transformers adapts its draft length by itself."""
GIB = 2**30


def machine_facts(device: torch.device) -> dict[str, str | int | None]:
    """Return the device's name, cores, threads and memory."""
    facts: dict[str, str | int | None] = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
    }
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        facts |= {"accelerator": found.name, "accelerator_memory_bytes": found.total_memory}
    return facts


def package_versions() -> dict[str, str | None]:
    """Return the versions of whatever changes what is measured; None = not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def check_fits(
    models: list[ModelFacts], capacity: int, device: torch.device, batch: int = 1
) -> None:
    """Refuse a context whose caches can't fit, with the arithmetic and the largest that can."""
    per_token = batch * sum(facts.kv_bytes_per_token for facts in models)
    available = _available(device)
    needed = capacity * per_token
    if needed > available:
        of_all = f", {batch} sequences" if batch > 1 else ""
        title = (
            f"the caches of {capacity} tokens need {needed / GIB:.1f} GiB "
            f"({per_token} bytes a token{of_all}); {available / GIB:.1f} GiB of memory are free"
        )
        raise EnvironmentMissing(title, f"use --context {int(0.8 * available / per_token)} or less")


def _available(device: torch.device) -> int:
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    return int(psutil.virtual_memory().available)


def _processor() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - not a path of ours
            names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
            return next(names, None)
    except OSError:
        return platform.processor() or None
