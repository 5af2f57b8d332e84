"""Measure what the dashboard costs on a terminal while a capture grows to 20k rounds.

    python benchmarks/dashboard.py [--rounds 20000] [--rate 200] [--hertz 10]

The dashboard runs in a process of its own on a pseudo-terminal of 200 x 50, with all panels and the
diagnosis. Meanwhile this process appends seeded synthetic rounds at the given rate, and discards
the terminal's output. Reported are the dashboard's processor time over wall time (its share of one
core, diagnosis included), updates per second, and the pauses between updates.
"""

import argparse
import fcntl
import json
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from itertools import pairwise
from pathlib import Path

import torch
from stamp import save, stamp
from textual import __version__ as textual_version

from specprof.backends.synthetic import Synthetic
from specprof.capture_writer import CaptureWriter
from specprof.records import Event, Round
from specprof.settings import RunSpec, Settings
from specprof.tui.app import RATES_HZ, Dashboard
from specprof.tui.snapshot import Snapshot

COLUMNS, ROWS = 200, 50
GOAL_SHARE = 0.5


class MeasuredDashboard(Dashboard):
    """The dashboard, which notes its updates, and its processor time second by second."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.updated: list[float] = []
        self.spent: list[tuple[float, float, int]] = []

    def on_mount(self) -> None:
        """Begin the notes; Textual calls the dashboard's own `on_mount` as well."""
        self.set_interval(1.0, self._note)

    def watch_snapshot(self, _: Snapshot) -> None:
        """Note the time of an update."""
        self.updated.append(time.monotonic())

    def _note(self) -> None:
        self.spent.append((time.monotonic(), time.process_time(), self.snapshot.rounds))


def follow(path: Path, hertz: int) -> None:
    """Run the dashboard until it quits, then print its notes on stdout."""
    app = MeasuredDashboard(path)
    app.hertz = RATES_HZ[RATES_HZ.index(hertz)]
    app.run()
    sys.stdout.write(json.dumps({"updated": app.updated, "spent": app.spent}))


def make_events(rounds: int) -> list[Event]:
    """Return the events of a synthetic walk to 20k tokens, `rounds` rounds at temperature 1."""
    tokens = rounds * 3 // 40  # three tokens a round over 40 bursts; a round emits fewer
    settings = Settings(backend="synthetic", temperature=1.0, stops=40, max_new_tokens=tokens)
    events = list[Event]()
    for event in Synthetic().run(RunSpec(id="dashboard", profile="", settings=settings), []):
        events.append(event)
        if isinstance(event, Round) and event.index + 1 == rounds:
            return events
    raise SystemExit(f"the synthetic walk has fewer than {rounds} rounds")


def grow(writer: CaptureWriter, events: list[Event], rate: float) -> None:
    """Append the events at `rate` rounds per second."""
    started, rounds = time.monotonic(), 0
    for event in events:
        writer.write(event)
        rounds += isinstance(event, Round)
        ahead_s = rounds / rate - (time.monotonic() - started)
        if ahead_s > 0.02:  # noqa: PLR2004 - shorter sleeps are inexact
            time.sleep(ahead_s)


def drain(terminal: int) -> None:
    """Read and discard the terminal's output."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        return


def measure(path: Path, events: list[Event], rate: float, hertz: int) -> dict[str, list[float]]:
    """Run both processes and return the dashboard's notes."""
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    writer = CaptureWriter(path)
    writer.write(events[0])
    child = subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, __file__, "--follow", str(path), "--hertz", str(hertz)],
        stdin=other, stderr=other, stdout=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )  # fmt: skip
    os.close(other)
    threading.Thread(target=drain, args=(terminal,), daemon=True).start()
    time.sleep(3.0)  # the start is not measured
    grow(writer, events[1:], rate)
    writer.close()
    os.write(terminal, b"q")
    output, _ = child.communicate(timeout=60)
    notes: dict[str, list[float]] = json.loads(output)
    return notes


def summarise(notes: dict[str, list[float]], rounds: int) -> dict[str, object]:
    """Return the figures while the capture grew, and in its last quarter."""
    spent = [tuple(note) for note in notes["spent"]]
    growing = [note for note in spent if 0 < note[2] < rounds]
    last = [note for note in growing if note[2] > 0.75 * rounds]
    if len(last) < 2:  # noqa: PLR2004 - a share is between two notes
        raise SystemExit(f"{rounds} rounds ended too soon to be measured: give more --rounds")
    shares = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(growing)]
    begun, ended = growing[0][0], growing[-1][0]
    updates = [at for at in notes["updated"] if begun <= at <= ended]
    return {
        "core_share": _core_share(growing),
        "core_share_last_quarter": _core_share(last),
        "core_share_worst_second": max(shares),
        "updates_per_s": len(updates) / (ended - begun),
        "longest_pause_between_updates_s": max(b - a for a, b in pairwise(updates)),
        "median_pause_between_updates_s": statistics.median(b - a for a, b in pairwise(updates)),
        "seconds_measured": ended - begun,
    }


def _core_share(notes: list[tuple[float, ...]]) -> float:
    first, last = notes[0], notes[-1]
    return (last[1] - first[1]) / (last[0] - first[0])


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=200.0, help="rounds appended a second")
    parser.add_argument("--hertz", type=int, default=10, choices=RATES_HZ)
    parser.add_argument("--follow", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.follow:
        follow(asked.follow, asked.hertz)
        return
    with tempfile.TemporaryDirectory() as folder:
        events = make_events(asked.rounds)
        notes = measure(Path(folder) / "run.jsonl", events, asked.rate, asked.hertz)
    figures = summarise(notes, asked.rounds)
    setting = {
        "rounds": asked.rounds, "rounds_per_s": asked.rate, "updates_asked_per_s": asked.hertz,
        "terminal": [COLUMNS, ROWS], "goal_core_share": GOAL_SHARE,
        "textual": textual_version, "load_average": os.getloadavg(),
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    print(save("dashboard", {**stamp(torch.device("cpu")), "setting": setting, "result": figures}))


if __name__ == "__main__":
    main()
