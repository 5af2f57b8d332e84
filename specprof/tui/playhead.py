"""Which round the display shows: the newest, a paused one, or the next of a replay.

Knows run time, and wall time through a clock passed in; nothing of files or screens. It never
influences the recording.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SPEEDS = (1, 4, 16, 64, 256)
"""Run seconds per second of replay."""


class Playhead:
    """Follows the newest round until it is paused or replays; `rounds` returns its position."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._speed = SPEEDS[0]
        self._held: int | None = None
        self._from_ns: int | None = None
        """Run time at which the replay last started or resumed; None while not replaying."""
        self._since = 0.0

    @property
    def label(self) -> str:
        """How the display moves, for the screen; empty while it follows the file."""
        if self._held is not None:
            return "PAUSED"
        return f"REPLAY {self._speed}x" if self.replaying else ""

    @property
    def replaying(self) -> bool:
        """Whether the display moves by itself, independent of the file."""
        return self._from_ns is not None and self._held is None

    def rounds(self, ends_ns: NDArray[np.int64]) -> int:
        """Return how many rounds to show, of rounds that ended at `ends_ns`, ascending.

        A replay that has reached the last round turns into following.
        """
        if self._held is not None:
            return min(self._held, len(ends_ns))
        if self._from_ns is None:
            return len(ends_ns)
        shown = int(np.searchsorted(ends_ns, self._now_ns(), "right"))
        if shown == len(ends_ns):
            self._from_ns = None
        return shown

    def replay(self) -> None:
        """Start over from the beginning of the run."""
        self._restart(0)

    def follow(self) -> None:
        """Go to the newest round and stay there."""
        self._held = self._from_ns = None

    def toggle(self, ends_ns: NDArray[np.int64]) -> None:
        """Pause the display at its round, or resume following or replaying."""
        if self._held is None:
            self._hold(self.rounds(ends_ns), ends_ns)
        elif self._from_ns is not None:
            self._restart(self._from_ns)
        else:
            self._held = None

    def step(self, by: int, ends_ns: NDArray[np.int64]) -> None:
        """Pause the display `by` rounds later, or earlier where `by` is negative."""
        self._hold(max(1, min(self.rounds(ends_ns) + by, len(ends_ns))), ends_ns)

    def jump(self, rounds: int, ends_ns: NDArray[np.int64]) -> None:
        """Pause the display after the first `rounds` rounds; do nothing if there are fewer."""
        if 1 <= rounds <= len(ends_ns):
            self._hold(rounds, ends_ns)

    def faster(self) -> None:
        """Choose the next replay speed; the first follows the last."""
        if self.replaying:
            self._restart(self._now_ns())
        self._speed = SPEEDS[(SPEEDS.index(self._speed) + 1) % len(SPEEDS)]

    def _now_ns(self) -> int:
        return (self._from_ns or 0) + int((self._clock() - self._since) * 1e9 * self._speed)

    def _hold(self, rounds: int, ends_ns: NDArray[np.int64]) -> None:
        self._held = rounds
        if self._from_ns is not None:
            self._from_ns = int(ends_ns[rounds - 1]) if rounds else 0

    def _restart(self, run_ns: int) -> None:
        self._held, self._from_ns, self._since = None, run_ns, self._clock()
