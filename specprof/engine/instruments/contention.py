"""How much of the processor a run got: read of the operating system, which counts it anyway.

A thread that is ready to run and has to wait for a processor is slowed by others. A thread that
waits for a device is not ready, so that such waiting isn't counted. What a system doesn't count is
None: only Linux says how long a thread had to wait, and Windows counts no switches.
"""

import threading
import time
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Readings = dict[str, int | None]
"""By field of `records.Sample`."""


class ProcessorWatch:
    """Reads what the process, and the thread that made this, have got since it was made."""

    def __init__(self) -> None:
        self._scheduled = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._begun = self._read()

    def read(self) -> Readings:
        """Return nanoseconds and switches since the start. It takes some 30 microseconds."""
        return {name: _since(self._begun[name], now) for name, now in self._read().items()}

    def _read(self) -> Readings:
        ran_ns, waited_ns = scheduled(self._scheduled)
        return {
            "processor_ns": time.process_time_ns(),
            "loop_ran_ns": ran_ns,
            "loop_waited_ns": waited_ns,
            "preempted": _count_switches(),
        }


def scheduled(path: Path) -> tuple[int | None, int | None]:
    """Return how long a thread ran and how long it waited for a processor, in nanoseconds.

    A kernel that doesn't keep these times has no such file, or has zeros in it.
    """
    try:
        ran, waited, *_ = map(int, path.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None, None
    return (ran, waited) if ran else (None, None)


def _count_switches() -> int | None:
    """Return how often the system took a processor from the process; None: it doesn't count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource else None


def _since(begun: int | None, now: int | None) -> int | None:
    return None if begun is None or now is None else max(now - begun, 0)
