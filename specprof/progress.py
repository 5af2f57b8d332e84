"""Plain progress on stderr, for a run nobody watches in the dashboard."""

import sys
import time

from specprof.records import Event, Header, Prefill, Round, RunSpec

EVERY_S = 2.0


class Progress:
    """Says about every two seconds how far a run has come."""

    def __init__(self, spec: RunSpec) -> None:
        settings = spec.settings
        self.goal = settings.context
        self.rounds = self.emitted = self.context = 0
        self._started = self._said = time.monotonic()
        varied = " ".join(f"{name}={value}" for name, value in spec.varied.items())
        pair = settings.target + (f" with {settings.draft}" if settings.draft else "")
        self._say(f"{spec.profile}: {pair} {varied}".rstrip())

    def hear(self, event: Event) -> None:
        """Count an event; say something when it is time."""
        match event:
            case Header():
                self._say(f"models loaded; device {event.device}, clock {event.clock.kind}")
            case Round():
                self.rounds += 1
                self.emitted += len(event.emitted)
                self.context = event.context
            case Prefill():
                self.context = event.context
        if time.monotonic() - self._said > EVERY_S:
            self._report()

    def close(self) -> None:
        """Say the final count."""
        self._report()

    def _report(self) -> None:
        tau = f"{self.emitted / self.rounds:.2f}" if self.rounds else "–"
        self._say(
            f"context {self.context}/{self.goal}: {self.rounds} rounds, "
            f"{self.emitted} tokens, tau {tau} (emitted/rounds)"
        )

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        sys.stderr.write(f"[{self._said - self._started:6.1f} s] {line}\n")
        sys.stderr.flush()
