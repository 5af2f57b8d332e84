"""Copies from the host to the device without waiting for the device."""

from collections.abc import Sequence

import torch


def on_device(tokens: Sequence[int], device: torch.device) -> torch.Tensor:
    """Return [n] the tokens on `device`; on CUDA through pinned memory, so that the host goes on.

    `torch.tensor(tokens, device=...)` waits until the device has done all earlier work.
    """
    if device.type != "cuda":
        return torch.tensor(tokens, device=device, dtype=torch.int64)
    pinned = torch.tensor(tokens, dtype=torch.int64, pin_memory=True)
    return pinned.to(device, non_blocking=True)
