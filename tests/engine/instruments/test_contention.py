"""What a run got of the processors: counted by the system, absent where it doesn't count."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from specprof.engine.instruments import contention
from specprof.engine.instruments.contention import ProcessorWatch, scheduled

COUNTED = scheduled(Path("/proc/self/schedstat"))[0] is not None
needs_counts = pytest.mark.skipif(not COUNTED, reason="this system doesn't count threads' waits")
CROWDED = """
import os, subprocess, sys, time
from specprof.engine.instruments.contention import ProcessorWatch
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
busy = [sys.executable, "-c", "while True: pass"]
others = [subprocess.Popen(busy) for _ in range(2)]
time.sleep(0.5)
watch, ends = ProcessorWatch(), time.monotonic() + 1.0
while time.monotonic() < ends:
    pass
for one in others:
    one.kill()
    one.wait()
print(watch.read())
"""


def spin(seconds):
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


@needs_counts
def test_work_of_the_thread_that_made_it_is_counted():
    """Work of another thread adds to the process alone; sleep adds to neither."""
    watch = ProcessorWatch()
    other = threading.Thread(target=spin, args=(0.15,))
    other.start()
    other.join()
    time.sleep(0.1)
    read = watch.read()
    assert read["processor_ns"] >= 140_000_000
    assert read["loop_ran_ns"] < 100_000_000
    spin(0.1)
    assert watch.read()["loop_ran_ns"] - read["loop_ran_ns"] > 90_000_000


@needs_counts
def test_a_thread_that_shares_its_core_with_two_others_waits_most_of_the_time():
    """Two busy neighbours on one core leave it a third."""
    ran = subprocess.run([sys.executable, "-c", CROWDED], check=True, capture_output=True)
    read = eval(ran.stdout)  # noqa: S307 - our own print
    assert read["loop_waited_ns"] > read["loop_ran_ns"] > 0
    assert read["preempted"] > 10


@pytest.mark.parametrize("text", ["0 0 0\n", "", "no numbers", "12\n"])
def test_a_kernel_that_counts_nothing_gives_none_and_no_zeros(tmp_path, text):
    """Zeros mean that the kernel was built without the counters."""
    path = tmp_path / "schedstat"
    assert scheduled(path) == (None, None)
    path.write_text(text)
    assert scheduled(path) == (None, None)
    path.write_text("7 5 1\n")
    assert scheduled(path) == (7, 5)


def test_a_system_without_switches_gives_none(monkeypatch):
    """The other readings are there."""
    monkeypatch.setattr(contention, "resource", None)
    read = ProcessorWatch().read()
    assert read["preempted"] is None
    assert read["processor_ns"] >= 0


def test_reading_costs_less_than_a_millisecond():
    """It is read twice a second."""
    watch = ProcessorWatch()
    started = time.thread_time()
    for _ in range(20):
        watch.read()
    assert time.thread_time() - started < 20e-3


def test_a_thread_that_has_ended_has_no_readings_left():
    """The sampler may outlive the loop's thread."""
    made = []
    one = threading.Thread(target=lambda: made.append(ProcessorWatch()))
    one.start()
    one.join()
    deadline = time.monotonic() + 5
    while made[0]._scheduled.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made[0].read()["loop_waited_ns"] is None
