"""Records a run: a backend's events go to the capture as they happen, and the end is always told.

Knows no model and no clock of a device. Whatever ends the run, a Ctrl-C, a failure, a full disk,
what was recorded before stays readable and the last line says how it ended.
"""

import time
from collections.abc import Callable
from contextlib import closing

from specprof.capture import CaptureWriter
from specprof.errors import SpecprofError
from specprof.extend import Backend
from specprof.records import End, Event, Round
from specprof.settings import RunSpec

Listener = Callable[[Event], None]


def record(
    backend: Backend,
    spec: RunSpec,
    writer: CaptureWriter,
    *,
    command: list[str],
    listener: Listener | None = None,
) -> End:
    """Run `spec` on `backend`, writing every event; return how it ended.

    Ctrl-C ends the run cleanly (status `interrupted`). A failure writes its reason, then is raised.
    """
    started = time.perf_counter_ns()
    rounds = emitted = 0

    def ended(status: str, reason: str | None = None) -> End:
        end = End(
            status=status,  # type: ignore[arg-type]  # one of End's three words
            reason=reason,
            wall_ns=time.perf_counter_ns() - started,
            rounds=rounds,
            emitted=emitted,
            write_ns=writer.write_ns,
            observe_ns=backend.observe_ns,
        )
        writer.write(end)
        return end

    try:
        with closing(backend.run(spec, command)) as events:
            for event in events:
                writer.write(event)
                if isinstance(event, Round):
                    rounds += 1
                    emitted += len(event.emitted)
                if listener:
                    listener(event)
    except KeyboardInterrupt:
        return ended("interrupted", "stopped by the user")
    except SpecprofError as error:
        ended("failed", error.title)
        raise
    except Exception as error:
        ended("failed", f"{type(error).__name__}: {error}")
        raise
    return ended("complete")
