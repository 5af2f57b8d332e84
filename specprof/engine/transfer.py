"""From the host to the device without a wait."""

from collections.abc import Sequence

import torch


def on_device(tokens: Sequence[int], device: torch.device) -> torch.Tensor:
    """Return [n] the tokens on `device`; on CUDA by way of pinned memory, so that nobody waits.

    `torch.tensor(tokens, device=...)` waits until the device has done all it was given before.
    """
    if device.type != "cuda":
        return torch.tensor(tokens, device=device, dtype=torch.int64)
    pinned = torch.tensor(tokens, dtype=torch.int64, pin_memory=True)
    return pinned.to(device, non_blocking=True)
