"""One training loop for every stage: Muon on the matrices, AdamW on the rest, a trapezoid rate."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import torch
from torch import nn

MATRIX_RATE, OTHER_RATE = 0.02, 0.004
WARM_UP_STEPS = 50
DECAY_FRACTION = 0.4
CLIP_NORM = 1.0
REPORT_EVERY = 50


def fit(
    models: Sequence[nn.Module],
    batches: Iterable[torch.Tensor],
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    *,
    steps: int,
    name: str,
    rate: float = 1.0,
) -> None:
    """Train `models` together for `steps` batches of `loss_of`, narrating on stderr."""
    optimizers = _optimizers(models, rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(each, lambda step: _trapezoid(step, steps))
        for each in optimizers
    ]
    started, seen = time.perf_counter(), list[float]()
    for step, batch in enumerate(islice(batches, steps), start=1):
        loss = loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for model in models:
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        seen.append(loss.item())
        if step % REPORT_EVERY == 0 or step == steps:
            seconds = time.perf_counter() - started
            mean = sum(seen) / len(seen)
            sys.stderr.write(f"{name}: step {step}/{steps} loss {mean:.4f} {seconds:.0f} s\n")
            seen.clear()


def _optimizers(models: Sequence[nn.Module], rate: float) -> list[torch.optim.Optimizer]:
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for model in models:
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                in_layer = "layers." in name and weight.ndim > 1
                (matrices if in_layer else others).append(weight)
    return [
        torch.optim.Muon(matrices, lr=rate * MATRIX_RATE, weight_decay=0.01),
        torch.optim.AdamW(others, lr=rate * OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _trapezoid(step: int, steps: int) -> float:
    """Return the rate's factor: linear warm-up, plateau, then linear decay to almost nothing."""
    left = (steps - step) / max(DECAY_FRACTION * steps, 1.0)
    return min(1.0, (step + 1) / WARM_UP_STEPS, max(left, 0.01))
