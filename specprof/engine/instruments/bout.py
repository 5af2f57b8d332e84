"""One timed play: how long it took and what it emitted."""

import time
from dataclasses import dataclass

import torch

Moment = tuple[int, int]
"""Nanoseconds on the host's counter, and of the process's own processor time."""


@dataclass(frozen=True, slots=True)
class Bout:
    """What one play took and emitted."""

    wall_ns: int
    process_ns: int
    """Processor time of the whole process: other processes on the machine can't add to it."""
    rounds: int
    emitted: list[int]


def moment() -> Moment:
    """Return the current moment."""
    return time.perf_counter_ns(), time.process_time_ns()


def finish_bout(begun: Moment, rounds: int, emitted: list[int]) -> Bout:
    """Return the play that began at `begun` and ends now."""
    wall_ns, process_ns = (end - start for start, end in zip(begun, moment(), strict=True))
    return Bout(wall_ns, process_ns, rounds, emitted)


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
