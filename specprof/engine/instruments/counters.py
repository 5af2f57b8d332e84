"""Slow counters, read by a thread of their own: memory, processor time, utilisation, power, clocks.

The NVML process list is never read: that holds the driver's lock for milliseconds and stalls other
threads (flightlessmango/MangoHud#2104). A counter that can't be read is None; a Note says why.
"""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import psutil
import torch

from specprof.engine.instruments.contention import ProcessorWatch
from specprof.records import Sample

SAMPLE_EVERY_S = 0.5
SLOW_READING_S = 0.005
"""A reading slower than this doubles the pause before the next."""


class Sampler:
    """Takes a Sample about twice a second from `start` to `stop`; `drain` returns the samples.

    Make it in the thread that plays the rounds: it is that thread whose processor time is read.
    """

    def __init__(self, device: torch.device, now: Callable[[], int]) -> None:
        self.now = now
        self.device = device
        self.nvml, self.absent = open_nvml(device)
        self._process = psutil.Process()
        self._processor = ProcessorWatch()
        self._taken: SimpleQueue[Sample] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="specprof-sampler", daemon=True)

    def start(self) -> None:
        """Begin sampling."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling with a last sample; the thread is gone when this returns."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
            self._taken.put(self.sample())

    def drain(self) -> list[Sample]:
        """Return the samples taken since the last call."""
        taken: list[Sample] = []
        while True:
            try:
                taken.append(self._taken.get_nowait())
            except Empty:
                return taken

    def finish(self) -> list[Sample]:
        """End sampling, and return the samples taken since the last `drain`."""
        self.stop()
        return self.drain()

    def _run(self) -> None:
        pause = SAMPLE_EVERY_S
        while True:
            started = time.perf_counter()
            self._taken.put(self.sample())
            slow = time.perf_counter() - started > SLOW_READING_S
            pause = 2 * pause if slow else SAMPLE_EVERY_S
            if self._stop.wait(pause):
                return

    def sample(self) -> Sample:
        """Read every counter once."""
        allocated = reserved = None
        if self.device.type == "cuda":
            allocated = torch.cuda.memory_allocated(self.device)
            reserved = torch.cuda.memory_reserved(self.device)
        counters: dict[str, Any] = {**self._processor.read()}
        if self.nvml:
            counters |= read_nvml(self.nvml)
        return Sample(
            at_ns=self.now(),
            rss_bytes=self._process.memory_info().rss,
            allocated_bytes=allocated,
            reserved_bytes=reserved,
            **counters,
        )


def open_nvml(device: torch.device) -> tuple[Any, str | None]:
    """Return a device handle, or None and the reason why there is none."""
    if device.type != "cuda":
        return None, f"NVML was not read: the run is on {device.type}"
    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode()), None
    except Exception as trouble:  # noqa: BLE001 - a driver may raise any error; the run goes on
        return None, f"NVML could not be read: {trouble}"


def read_nvml(handle: Any) -> dict[str, Any]:  # noqa: ANN401 - an opaque handle
    """Return the counters of one device by Sample field; a counter that fails is left out."""
    import pynvml

    readings: dict[str, Callable[[], object]] = {
        "memory_used_bytes": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used,
        "utilisation_percent": lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "power_watts": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "sm_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "throttle": lambda: _throttle_reasons(
            pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        ),
    }
    counters: dict[str, Any] = {}
    for field, read in readings.items():
        try:
            counters[field] = read()
        except pynvml.NVMLError:
            continue
    return counters


def _throttle_reasons(bits: int) -> list[str]:
    """Return the names of the set bits of NVML's throttle mask, except idle and none."""
    import pynvml

    prefix = "nvmlClocksThrottleReason"
    names = {
        name.removeprefix(prefix): value
        for name, value in vars(pynvml).items()
        if name.startswith(prefix) and isinstance(value, int)
    }
    quiet = {"None", "All", "GpuIdle"}
    return sorted(name for name, bit in names.items() if bit & bits and name not in quiet)
