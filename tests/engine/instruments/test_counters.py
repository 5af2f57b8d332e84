"""The slow counters: taken on a thread, absent with a reason, never a zero."""

import sys
import time
from types import ModuleType, SimpleNamespace

import pytest
import torch

from specprof.engine.instruments import counters
from specprof.engine.instruments.counters import Sampler, open_nvml, read_nvml

CPU = torch.device("cpu")


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch):
    """A driver that answers everything but the power."""
    fake = ModuleType("pynvml")
    fake.NVMLError = NVMLError
    fake.NVML_CLOCK_SM = 1
    fake.nvmlClocksThrottleReasonGpuIdle = 1
    fake.nvmlClocksThrottleReasonSwPowerCap = 4
    fake.nvmlClocksThrottleReasonNone = 0
    fake.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=7 * 2**30)
    fake.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=42)
    fake.nvmlDeviceGetClockInfo = lambda handle, kind: 1980
    fake.nvmlDeviceGetCurrentClocksThrottleReasons = lambda handle: 5

    def power(handle):
        raise NVMLError

    fake.nvmlDeviceGetPowerUsage = power
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_a_counter_that_fails_is_missing_and_not_zero(nvml):
    """The others are read all the same; an idle device is not called throttled."""
    assert read_nvml("handle") == {
        "memory_used_bytes": 7 * 2**30,
        "utilisation_percent": 42,
        "sm_clock_mhz": 1980,
        "throttle": ["SwPowerCap"],
    }


def test_a_run_on_a_cpu_says_why_there_is_no_nvml():
    """Absence has a reason."""
    assert open_nvml(CPU) == (None, "NVML was not read: the run is on cpu")


def test_a_broken_driver_is_a_reason_and_not_a_crash(nvml):
    """Whatever is wrong with it, the run goes on."""

    def broken():
        raise NVMLError("driver not loaded")

    nvml.nvmlInit = broken
    handle, reason = open_nvml(torch.device("cuda", 0))
    assert handle is None
    assert "driver not loaded" in reason


def test_samples_come_from_a_thread_that_stops(monkeypatch):
    """Start, drain, stop: the thread is gone and every sample was handed over once."""
    monkeypatch.setattr(counters, "SAMPLE_EVERY_S", 0.01)
    taken = Sampler(CPU, time.perf_counter_ns)
    taken.start()
    time.sleep(0.1)
    samples = taken.finish()
    assert len(samples) >= 2
    assert all(sample.processor_ns is not None for sample in samples)
    assert all(sample.rss_bytes > 10_000_000 for sample in samples)
    assert all(sample.power_watts is None for sample in samples)
    assert taken.drain() == []
    assert not taken._thread.is_alive()


def test_the_last_sample_is_taken_at_the_end():
    """A run shorter than half a second has its first and its last sample, and no third."""
    taken = Sampler(CPU, time.perf_counter_ns)
    taken.start()
    first, last = taken.finish()
    assert first.at_ns < last.at_ns
    assert taken.finish() == []
