"""The lines of an open capture: each is checked as its reader will, then written."""

from specprof.bounds import Bounds
from specprof.capture_writer import CaptureWriter
from specprof.narration import narrate
from specprof.recorder import Ledger
from specprof.recording.checks import check_bounds, check_readable
from specprof.records import Event, Header


class Lines:
    """Writes events, and says once if the file is lost."""

    def __init__(self, writer: CaptureWriter) -> None:
        self._writer = writer
        self._ledger = Ledger(writer)
        self._bounds: Bounds | None = None
        """What a reader of the lines so far allows; None before the header."""
        self._count = 0
        self._said_gone = False
        self.closed = False

    @property
    def place(self) -> str:
        """Where they are written."""
        return str(self._writer.path)

    def take(self, event: Event) -> None:
        """Write an event; raise UsageError for one that no reader of captures would take."""
        check_readable(event)
        if isinstance(event, Header):
            self._bounds = Bounds(event)
        elif self._bounds is not None:
            check_bounds(event, self._bounds, self._count + 1)
        self._count += 1
        self._ledger.take(event)

    def end(self, error: BaseException | None, *, observe_ns: int) -> None:
        """Write how the recording ended, and close the file."""
        self._ledger.end(error, observe_ns=observe_ns)
        self.say_if_gone()
        self.closed = True
        self._writer.close()

    def say_if_gone(self) -> None:
        """Print once that the file was deleted or replaced; the user's loop goes on."""
        if not self._said_gone and self._writer.gone:
            self._said_gone = True
            narrate(f"{self.place} was deleted or replaced while it was recorded: it is lost")
            narrate("  run again, and leave the file where it is until the run has ended")
