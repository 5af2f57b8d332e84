"""Facts about the machine, for a capture's header."""

import os
import platform
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from statistics import median_low

import psutil
import torch

PACKAGES = ("torch", "transformers", "numpy", "nvidia-ml-py", "scikit-learn", "flash-attn")
"""scikit-learn is one of them: if it is installed, transformers adapts its draft length by it."""
COPY_SIZES = {"cpu": (24 * 2**20, 12), "cuda": (256 * 2**20, 2)}
"""Device -> bytes copied, number of parts. On a CPU it takes some 25 ms, mostly to map pages."""


def machine_facts(device: torch.device) -> dict[str, str | int | None]:
    """Return the device's name, cores, threads, memory and the speed of its memory."""
    facts: dict[str, str | int | None] = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "bandwidth_bytes_per_s": bandwidth(device) if device.type in COPY_SIZES else None,
    }
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        facts |= {"accelerator": found.name, "accelerator_memory_bytes": found.total_memory}
    return facts


@cache
def bandwidth(device: torch.device) -> int:
    """Return the bytes per second that a copy reads and writes, measured once a process.

    It is the median part's. The whole copy is larger than the caches of most processors. A part is
    so short that even on a busy machine most parts are copied without an interruption.
    """
    whole, parts = COPY_SIZES[device.type]
    source = torch.ones(whole, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source).copy_(source)  # maps its pages before the timing
    took = []
    for written, read in zip(goal.chunk(parts), source.chunk(parts), strict=True):
        _synchronise(device)
        started = time.perf_counter()
        written.copy_(read)
        _synchronise(device)
        took.append(time.perf_counter() - started)
    return int(2 * whole / parts / median_low(took))


def _synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def package_versions() -> dict[str, str | None]:
    """Return the versions of packages that affect measurements; None if not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _processor() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - not a path of ours
            names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
            return next(names, None)
    except OSError:
        return platform.processor() or None
