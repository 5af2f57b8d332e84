"""Whether a run fits into memory, told before any of it is taken.

Free is what this process may take: of the machine, of its control group, of its address limit.
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
"""A logit as float32, and with it the laws it becomes: the target's, the draft's, what is left."""
COUNTS = 0.01
"""Share of what is free from which on a part is worth a word."""
SPARED = 0.8
"""Share of what is free that a remedy may ask for."""


def check_loads(name: str, weight_bytes: int, device: torch.device) -> None:
    """Refuse weights that can't be held, here or on `device`. Raises EnvironmentMissing."""
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
    """Refuse what can't fit, with the arithmetic and what would.

    `held` are the tokens each model's cache has rows for at once: `capacity` unless it evicts.
    `rows` are those of logits that a step makes of one sequence, `weight_bytes` what is yet to be
    loaded. Raises EnvironmentMissing.
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
    if logits > COUNTS * available:
        parts.append(f"the logits of {batch * rows} rows {logits / GIB:.1f} GiB")
    if weight_bytes > COUNTS * available:
        parts.append(f"the weights {weight_bytes / GIB:.1f} GiB")
    title = f"{', '.join(parts)}; {available / GIB:.1f} GiB of {_memory(device)} are free"
    left = SPARED * available - logits - weight_bytes
    growing = sum(size for size, count in zip(each, kept, strict=True) if count == capacity)
    raise EnvironmentMissing(title, _remedy(left, caches - growing * capacity, growing, logits))


def _remedy(left: float, fixed: int, growing: int, logits: int) -> str:
    """Return what to do; `left` is for caches: `fixed` bytes and `growing` a token."""
    if left <= 0:
        smaller = "use a smaller --depth, tree or --batch"
        return smaller if logits > -left else "use a smaller model, or --dtype bfloat16"
    if not growing or fixed > left:
        return "use a smaller --window, or fewer --max-new-tokens"
    return f"use --context {int((left - fixed) / growing)} or less"


def _memory(device: torch.device) -> str:
    return "memory" if device.type == "cpu" else f"{device.type} memory"


def _available(device: torch.device) -> int:
    """Return the bytes this process may take of the device's memory."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    bounds = [int(psutil.virtual_memory().available), *_of_group()]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        bounds.append(max(0, limit - psutil.Process().memory_info().vms))
    return min(bounds)


def _of_group() -> list[int]:
    """Return what the control group of this process has left; nothing where none bounds it.

    A container's own bound, which the machine's free memory knows nothing of.
    """
    place = Path("/sys/fs/cgroup")
    try:
        limit = int((place / "memory.max").read_text(encoding="utf-8"))
        used = int((place / "memory.current").read_text(encoding="utf-8"))
        told = (place / "memory.stat").read_text(encoding="utf-8").split()
    except (OSError, ValueError):  # another version of groups, "max", another system
        return []
    cached = int(told[told.index("inactive_file") + 1]) if "inactive_file" in told else 0
    return [max(0, limit - used + cached)]
