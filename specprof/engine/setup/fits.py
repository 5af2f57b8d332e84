"""Refuses a run that does not fit into memory, before any memory is taken.

Free is what this process may still take of the machine, its control group and its address limit.
"""

import resource
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from specprof.errors import EnvironmentMissing
from specprof.records import ModelFacts

GIB = 2**30
LOGIT_BYTES = 4 * 4
"""A logit as float32, and the three laws computed from it: target, draft, residual."""
NAMED_SHARE = 0.01
"""Share of the free memory from which on an error names a part."""
REMEDY_SHARE = 0.8
"""Share of the free memory that a remedy may ask for."""


def check_loads(name: str, weight_bytes: int, device: torch.device) -> None:
    """Raise EnvironmentMissing if weights don't fit into main memory or on `device`."""
    for place in {torch.device("cpu"), device}:
        if weight_bytes > (available := _available(place)):
            title = f"the weights of {name} need {weight_bytes / GIB:.1f} GiB; "
            title += f"{available / GIB:.1f} GiB of {_memory(place)} are free"
            raise EnvironmentMissing(title, "use a smaller model, or --dtype bfloat16")


def check_fits(
    models: Sequence[ModelFacts],
    capacity: int,
    device: torch.device,
    batch: int = 1,
    held: Sequence[int] | None = None,
    *,
    rows: int = 0,
    weight_bytes: int = 0,
) -> None:
    """Raise EnvironmentMissing if a run can't fit, with the arithmetic and with what would fit.

    `held` are the tokens that each model's cache has rows for at once: `capacity` unless it evicts.
    `rows` are the rows of logits that a step computes for one sequence. `weight_bytes` are the
    weights that are not loaded yet.
    """
    kept = held or [capacity] * len(models)
    each = [batch * facts.kv_bytes_per_token for facts in models]
    caches = sum(size * count for size, count in zip(each, kept, strict=True))
    vocabulary = max((facts.vocabulary for facts in models), default=0)
    logits = batch * rows * vocabulary * LOGIT_BYTES
    available = _available(device)
    if caches + logits + weight_bytes <= available:
        return
    of_all = f", {batch} sequences" if batch > 1 else ""
    parts = [f"the caches of {capacity} tokens need {caches / GIB:.1f} GiB "]
    parts[0] += f"({sum(each)} bytes a token{of_all})"
    if logits > NAMED_SHARE * available:
        parts.append(f"the logits of {batch * rows} rows {logits / GIB:.1f} GiB")
    if weight_bytes > NAMED_SHARE * available:
        parts.append(f"the weights {weight_bytes / GIB:.1f} GiB")
    title = f"{', '.join(parts)}; {available / GIB:.1f} GiB of {_memory(device)} are free"
    left = REMEDY_SHARE * available - logits - weight_bytes
    growing = sum(size for size, count in zip(each, kept, strict=True) if count == capacity)
    raise EnvironmentMissing(title, _remedy(left, caches - growing * capacity, growing, logits))


def _remedy(left: float, fixed: int, growing: int, logits: int) -> str:
    """Return what to do; `left` bytes are free for caches: `fixed` bytes, and `growing` a token."""
    if left <= 0:
        smaller = "use a smaller --depth, tree or --batch"
        return smaller if logits > -left else "use a smaller model, or --dtype bfloat16"
    if not growing or fixed > left:
        return "use a smaller --window, or fewer --max-new-tokens"
    return f"use --context {int((left - fixed) / growing)} or less"


def _memory(device: torch.device) -> str:
    return "memory" if device.type == "cpu" else f"{device.type} memory"


def _available(device: torch.device) -> int:
    """Return the bytes that this process may still take of the device's memory."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    bounds = [int(psutil.virtual_memory().available), *_of_group()]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        bounds.append(max(0, limit - psutil.Process().memory_info().vms))
    return min(bounds)


def _of_group() -> list[int]:
    """Return the bytes that this process's control group has left; an empty list without a bound.

    This is how containers are bounded; the machine's free memory does not show it.
    """
    place = Path("/sys/fs/cgroup")
    try:
        limit = int((place / "memory.max").read_text(encoding="utf-8"))
        used = int((place / "memory.current").read_text(encoding="utf-8"))
        stat = (place / "memory.stat").read_text(encoding="utf-8").split()
    except (OSError, ValueError):  # another version of groups, "max", another system
        return []
    cached = int(stat[stat.index("inactive_file") + 1]) if "inactive_file" in stat else 0
    return [max(0, limit - used + cached)]
