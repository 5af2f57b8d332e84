"""Records a run: writes its events to the capture as they happen, and how the run ended.

Knows no model and no clock of a device. A Ctrl-C, a failure or a full disk may end the run: the
events before stay readable, and the last line says how it ended.
"""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Literal

from specprof.capture_writer import CaptureWriter
from specprof.endings import hold_interrupts, hold_signals, interrupt_due
from specprof.errors import SpecprofError
from specprof.extend import Backend
from specprof.records import End, Event, Round
from specprof.settings import RunSpec

Listener = Callable[[Event], None]


class Ledger:
    """Writes a run's events, counts its rounds, and writes how it ended."""

    def __init__(self, writer: CaptureWriter) -> None:
        self.writer = writer
        self._started = time.perf_counter_ns()
        self._rounds = self._emitted = 0

    def take(self, event: Event, *, more: bool = False) -> None:
        """Write and count an event. With `more`, others follow at once, and it may wait for them.

        An interrupt can't come between writing and counting: else the end line would contradict the
        rounds before it.
        """
        with hold_interrupts():
            self.writer.write(event, more=more)
            if isinstance(event, Round):
                self._rounds += 1
                self._emitted += len(event.emitted)

    def end(self, error: BaseException | None = None, *, observe_ns: int) -> End:
        """Write the closing line: `error` is what ended the run early; `observe_ns` as in `End`."""
        status, reason = _status_of(error)
        end = End(
            status=status,
            reason=reason,
            wall_ns=time.perf_counter_ns() - self._started,
            rounds=self._rounds,
            emitted=self._emitted,
            write_ns=self.writer.write_ns,
            observe_ns=observe_ns,
        )
        self.writer.write(end)
        return end


def record(
    backend: Backend,
    spec: RunSpec,
    writer: CaptureWriter,
    *,
    command: list[str],
    listener: Listener | None = None,
) -> End:
    """Run `spec` on `backend`, writing every event; return how it ended.

    Ctrl-C ends the run cleanly (status `interrupted`). The reason of a failure is written, then the
    failure is raised.
    """
    ledger = Ledger(writer)
    try:
        with closing(backend.run(spec, command)) as events:
            for event in events:
                ledger.take(event, more=backend.more)
                if listener:
                    listener(event)
                if ending := interrupt_due():
                    raise ending  # noqa: TRY301 - the code that it interrupted has swallowed it
    except BaseException as error:
        cause = interrupt_due() or error
        with hold_signals(ending=True):
            end = ledger.end(cause, observe_ns=backend.observe_ns)
        if isinstance(cause, KeyboardInterrupt):
            return end
        if isinstance(error, SystemExit):  # a plug-in must not choose specprof's exit code
            title = f"the run was ended from inside: a member called sys.exit({error.code!r})"
            raise SpecprofError(title, "mend the member, or run without it") from error
        raise
    with hold_signals(ending=False):
        return ledger.end(observe_ns=backend.observe_ns)


def _status_of(
    error: BaseException | None,
) -> tuple[Literal["complete", "interrupted", "failed"], str | None]:
    match error:
        case None:
            return "complete", None
        case KeyboardInterrupt():
            return "interrupted", str(error) or "stopped by the user"
        case SpecprofError():
            return "failed", error.title
        case _:
            return "failed", f"{type(error).__name__}: {error}"
