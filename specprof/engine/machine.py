"""What a capture says of the machine, and whether a run fits into its memory."""

import os
import platform
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from statistics import median_low

import psutil
import torch

from specprof.errors import EnvironmentMissing
from specprof.records import ModelFacts

PACKAGES = ("torch", "transformers", "numpy", "nvidia-ml-py", "scikit-learn", "flash-attn")
"""scikit-learn too: where it is installed transformers adapts its draft length by itself."""
GIB = 2**30
COPIED = {"cpu": (24 * 2**20, 12), "cuda": (256 * 2**20, 2)}
"""Device -> bytes copied, in how many parts: a processor's cost it some 25 ms, most of it pages."""


def machine_facts(device: torch.device) -> dict[str, str | int | None]:
    """Return the device's name, cores, threads, memory and the speed of its memory."""
    facts: dict[str, str | int | None] = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "bandwidth_bytes_per_s": bandwidth(device) if device.type in COPIED else None,
    }
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        facts |= {"accelerator": found.name, "accelerator_memory_bytes": found.total_memory}
    return facts


@cache
def bandwidth(device: torch.device) -> int:
    """Return the bytes a second a copy reads and writes: the middle part's, once a process.

    All of it is larger than the caches of most processors; a part is so short that on a busy
    machine most are copied without an interruption, and those that aren't don't count.
    """
    whole, parts = COPIED[device.type]
    source = torch.ones(whole, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source).copy_(source)  # its pages are there before any is timed
    took = []
    for written, read in zip(goal.chunk(parts), source.chunk(parts), strict=True):
        _settle(device)
        started = time.perf_counter()
        written.copy_(read)
        _settle(device)
        took.append(time.perf_counter() - started)
    return int(2 * whole / parts / median_low(took))


def _settle(device: torch.device) -> None:
    """Wait until the device has done all it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


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
    models: Sequence[ModelFacts],
    capacity: int,
    device: torch.device,
    batch: int = 1,
    held: Sequence[int] | None = None,
) -> None:
    """Refuse caches that can't fit, with the arithmetic and the largest context that can.

    `held` are the tokens each model's cache has rows for at once: `capacity` unless it evicts.
    """
    rows = held or [capacity] * len(models)
    each = [batch * facts.kv_bytes_per_token for facts in models]
    available = _available(device)
    needed = sum(size * count for size, count in zip(each, rows, strict=True))
    if needed <= available:
        return
    growing = sum(size for size, count in zip(each, rows, strict=True) if count == capacity)
    of_all = f", {batch} sequences" if batch > 1 else ""
    title = (
        f"the caches of {capacity} tokens need {needed / GIB:.1f} GiB "
        f"({sum(each)} bytes a token{of_all}); {available / GIB:.1f} GiB of memory are free"
    )
    fixed = needed - growing * capacity
    if not growing or fixed > 0.8 * available:
        raise EnvironmentMissing(title, "use a smaller --window, or fewer --max-new-tokens")
    fits = int((0.8 * available - fixed) / growing)
    raise EnvironmentMissing(title, f"use --context {fits} or less")


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
