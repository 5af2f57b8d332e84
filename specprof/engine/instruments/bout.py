"""One timed play: what it took and what came of it, whoever played."""

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
    """Processor time of the whole process: a neighbour on the machine can't add to it."""
    rounds: int
    emitted: list[int]


def moment() -> Moment:
    """Return this moment."""
    return time.perf_counter_ns(), time.process_time_ns()


def since(begun: Moment, rounds: int, emitted: list[int]) -> Bout:
    """Return the play that began then and ends here."""
    wall_ns, process_ns = (end - start for start, end in zip(begun, moment(), strict=True))
    return Bout(wall_ns, process_ns, rounds, emitted)


def settle(device: torch.device) -> None:
    """Wait until the device has done all it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
