"""Plain progress on stderr, for runs without a dashboard."""

import time
import traceback

from specprof.errors import SpecprofError
from specprof.narration import narrate
from specprof.plain import brief
from specprof.records import Event, Header, Overlaps, Prefill, Round, Scored
from specprof.settings import RunSpec
from specprof.sweep import Index, Listener, seconds_left

EVERY_S = 2.0
SELDOM_S = 15.0
"""The interval in a sweep, whose own lines show how far it is."""


class Progress:
    """Prints every few seconds how far a run has come."""

    def __init__(self, spec: RunSpec, *, every_s: float = EVERY_S) -> None:
        settings = spec.settings
        self.goal = settings.context
        self.every_s = every_s
        self.rounds = self.emitted = self.context = 0
        self._started = self._said = time.monotonic()
        if every_s == EVERY_S:
            pair = settings.target + (f" with {settings.draft}" if settings.draft else "")
            self._say(f"{spec.profile}: {pair} {spec.label}".rstrip())

    def hear(self, event: Event) -> None:
        """Count an event; print the count if the interval is over."""
        match event:
            case Header() if self.every_s == EVERY_S:
                self._say(f"models loaded; device {event.device}, clock {event.clock.kind}")
                for line in _describe_forwards(event):
                    self._say(line)
            case Round():
                self.rounds += 1
                self.emitted += len(event.emitted)
                self.context = event.context
            case Prefill():
                self.context = event.context
            case Scored():
                self.context = event.context + len(event.nll)
            case Overlaps():
                self.context = event.context + len(event.overlap)
        if time.monotonic() - self._said > self.every_s:
            self.report()

    def report(self) -> None:
        """Print the count so far."""
        so_far = f"context {self.context}/{self.goal}: {self.counted}"
        self._say(so_far if self.context else "loading the models, feeding the text")

    @property
    def counted(self) -> str:
        """The count so far, in words."""
        if not self.rounds:
            return f"{self.context} tokens fed"
        tau = f"{self.emitted / self.rounds:.2f}"
        return f"{self.rounds} rounds, {self.emitted} tokens, tau {tau} (emitted/rounds)"

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        _print_line(self._said - self._started, line)


class SweepProgress(Listener):
    """Prints for each run of a sweep its number, the time left, and how it ended."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._begun = self._started

    def run_begins(self, index: Index, number: int) -> None:
        """Print which run begins, and how long the rest of the sweep should take."""
        self._begun = time.monotonic()
        spec, left = index.runs[number].spec, seconds_left(index.runs)
        repeat = f", repeat {spec.repeat + 1} of {index.profile.repeats}"
        self._say(
            f"run {number + 1} of {len(index.runs)}: {brief(spec.label or spec.id)}"
            + (repeat if index.profile.repeats > 1 else "")
            + (f"; about {_format_clock(left)} left" if left is not None else "")
        )

    def run_ended(self, index: Index, number: int, error: Exception | None) -> None:
        """Print how the run ended; of an unexpected error, its traceback too."""
        run, took = index.runs[number], time.monotonic() - self._begun
        trouble = f": {run.trouble}" if run.trouble else ""
        self._say(f"  {run.state} after {took:.1f} s{trouble}")
        if isinstance(error, SpecprofError):
            self._say(f"  {error.hint}")
        elif error is not None:
            for line in "".join(traceback.format_exception(error)).splitlines():
                narrate(line)

    def _say(self, line: str) -> None:
        _print_line(time.monotonic() - self._started, line)


def _describe_forwards(header: Header) -> list[str]:
    """Return how forwards are computed, and why not faster; equal models share a line."""
    by_way: dict[str, list[str]] = {}
    for each in (header.target, header.draft):
        if each and each.forwards:
            slower = f"; not flat: {each.path_reason}" if each.path_reason else ""
            slower += f"; not replayed: {each.graphs_reason}" if each.graphs_reason else ""
            by_way.setdefault(each.forwards + slower, []).append(each.name)
    return [f"forwards of {', '.join(names)}: {how}" for how, names in by_way.items()]


def _format_clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _print_line(elapsed_s: float, line: str) -> None:
    narrate(f"[{elapsed_s:6.1f} s] {line}")
