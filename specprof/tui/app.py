"""The dashboard: follows one capture file and shows it. The command line calls `show`.

The app owns one reactive, the snapshot. Workers read and judge, and only post messages; the
messages become the next snapshot. The dashboard never writes to the capture and never loads a
model.
"""

import time
from collections import deque
from collections.abc import Callable, Sized
from pathlib import Path
from subprocess import Popen
from threading import Event
from typing import ClassVar

from textual import on, work
from textual.app import App
from textual.binding import BindingType
from textual.reactive import reactive
from textual.screen import Screen
from textual.worker import get_current_worker

from specprof.analysis.columns import Columns
from specprof.analysis.tables import Ints
from specprof.capture import no_result_error
from specprof.diagnosis.diagnose import Diagnosis, findings_so_far
from specprof.errors import CaptureUnreadable, SpecprofError
from specprof.tui.follow import Follower, Reading
from specprof.tui.keys import APP_KEYS, DASHBOARD_KEYS, FINDINGS_KEYS
from specprof.tui.messages import Advanced, Filtered, Judged, Spelled, Unreadable
from specprof.tui.playhead import Playhead
from specprof.tui.screens.dashboard import DashboardScreen
from specprof.tui.screens.findings import FindingsScreen
from specprof.tui.screens.help import HelpScreen
from specprof.tui.snapshot import Snapshot, ids_only
from specprof.tui.stop import end_without_terminal, stop_child
from specprof.tui.themes import DARK, LIGHT
from specprof.tui.vocabulary import load_vocabulary

RATES_HZ = (1, 2, 4, 10, 20)
"""Updates a second that the user can choose."""
_UNFOCUSED_HZ = 1
_SILENT_HZ = 1
"""Reads of a silent file a second, and updates a second without news."""
_MIN_JUDGE_REST_S, _FIRST_REST_S = 2.0, 0.2
_SHARE_WINDOW_S = 3.0
_MAX_JUDGE_SHARE = 0.1
"""Share of a core for judging: after each diagnosis the worker rests 9 times as long as it took."""


class Dashboard(App[SpecprofError]):
    """Shows a capture; returns the error that ended the app, or None."""

    TITLE = "specprof"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [*APP_KEYS]

    snapshot: reactive[Snapshot] = reactive(Snapshot)

    def __init__(
        self,
        path: Path,
        *,
        judge: Callable[[Columns], Diagnosis] = findings_so_far,
        alive: Callable[[], bool] | None = None,
        log: Path | None = None,
        ascii_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.follower = Follower(path, alive=alive, log=log)
        self.judge = judge
        self.reading: Reading | None = None
        self.playhead = Playhead(clock)
        self._clock = clock
        self.hertz = RATES_HZ[3]
        self._ascii_only = ascii_only
        self._diagnosis: Diagnosis | None = None
        self._judged = 0
        self._token_text: Callable[[int], str] = ids_only
        self._needle = ""
        self._leaving = Event()
        self._spent = deque[tuple[float, float]]()
        self.updates = 0
        """Snapshots shown so far; benchmarks/dashboard.py counts them."""

    # --- life ---------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen."""
        return DashboardScreen(ascii_only=self._ascii_only)

    def on_mount(self) -> None:
        """Start the workers."""
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self._follow()
        self._judge()
        self._ticker = self.set_interval(1 / self.hertz, self._tick)

    def on_unmount(self) -> None:
        """End the workers."""
        self._leaving.set()

    @property
    def pace_hz(self) -> int:
        """Updates a second: the user's choice, or 1 while the window is out of focus."""
        return self.hertz if self.app_focus else _UNFOCUSED_HZ

    @property
    def _look_hz(self) -> int:
        """Reads of the file a second; a silent file is read less often."""
        reading = self.reading
        moving = reading is None or reading.state in {"waiting", "reading", "recording"}
        return self.pace_hz if moving else _SILENT_HZ

    # --- workers: they read and judge, and post messages -----------------------------------------

    @work(thread=True, group="follow", exit_on_error=True)
    def _follow(self) -> None:
        worker, spelled, due, shown = get_current_worker(), False, 0.0, None
        while not worker.is_cancelled:
            try:
                reading = self.follower.read()
            except CaptureUnreadable as trouble:
                self.post_message(Unreadable(trouble))
                return
            seen = (self.follower.taken, reading.state, reading.lost, reading.log, reading.more)
            news = seen != shown and not reading.more
            if news or time.monotonic() >= due:
                self.post_message(Advanced(reading))
                due = time.monotonic() + 1 / (self.pace_hz if reading.more else _SILENT_HZ)
                shown = seen
            if reading.columns.header and not spelled and not reading.more:
                self.post_message(Spelled(load_vocabulary(reading.columns.header)))
                spelled = True
            if reading.final or (not reading.more and self._leaving.wait(1 / self._look_hz)):
                return

    @work(thread=True, group="judge", exit_on_error=True)
    def _judge(self) -> None:
        worker, judged = get_current_worker(), _count_judgeable(Columns())
        rest_s = _FIRST_REST_S
        while not worker.is_cancelled and not self._leaving.wait(rest_s):
            reading = self.reading
            if reading is None or reading.more or _count_judgeable(reading.columns) == judged:
                continue
            started = time.monotonic()
            diagnosis = self.judge(reading.columns)
            judged = _count_judgeable(reading.columns)
            self.post_message(Judged(diagnosis, len(reading.columns.rounds)))
            took_s = time.monotonic() - started
            rest_s = max(_MIN_JUDGE_REST_S, took_s * (1 / _MAX_JUDGE_SHARE - 1))
            if reading.final:  # the last diagnosis need not wait: nothing more will come
                rest_s = _FIRST_REST_S

    # --- messages: only these change what is shown ------------------------------------------------

    @on(Advanced)
    def _take_reading(self, message: Advanced) -> None:
        self.reading = message.reading
        self._update_snapshot()

    @on(Judged)
    def _take_diagnosis(self, message: Judged) -> None:
        self._diagnosis, self._judged = message.diagnosis, message.rounds
        self._update_snapshot()

    @on(Spelled)
    def _take_vocabulary(self, message: Spelled) -> None:
        self._token_text = message.token_text
        self._update_snapshot()

    @on(Filtered)
    def _take_filter(self, message: Filtered) -> None:
        self._needle = message.needle
        self._update_snapshot()

    @on(Unreadable)
    def _exit_unreadable(self, message: Unreadable) -> None:
        self.exit(message.trouble, return_code=message.trouble.exit_code)

    def _tick(self) -> None:
        if self.playhead.replaying:
            self._update_snapshot()

    def _update_snapshot(self) -> None:
        reading = self.reading
        if reading is None:
            return
        shown = self.playhead.rounds(self._ends_ns)
        self.updates += 1
        self.snapshot = Snapshot(
            columns=reading.columns.first(shown),
            state=reading.state,
            recorded=len(reading.columns.rounds),
            damaged=reading.damaged,
            torn=reading.torn,
            silent_s=reading.silent_s,
            lost=reading.lost,
            playing=self.playhead.label,
            diagnosis=self._diagnosis,
            judged=self._judged,
            token_text=self._token_text,
            needle=self._needle,
            log=reading.log,
            viewer_share=self._own_share(),
        )

    @property
    def _ends_ns(self) -> Ints:
        assert self.reading is not None  # noqa: S101 - callers check that something was read
        return self.reading.columns.rounds.end_ns

    def _own_share(self) -> float | None:
        """Return processor time over wall time of the last seconds; None until they passed."""
        now = self._clock(), time.process_time()
        while len(self._spent) > 1 and now[0] - self._spent[1][0] > _SHARE_WINDOW_S:
            self._spent.popleft()
        self._spent.append(now)
        wall, processor = now[0] - self._spent[0][0], now[1] - self._spent[0][1]
        return processor / wall if wall >= _SHARE_WINDOW_S else None

    # --- keys ---------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Pause the display at its round, or resume it."""
        if self.reading is not None:
            self.playhead.toggle(self._ends_ns)
            self._update_snapshot()

    def action_step(self, by: int) -> None:
        """Pause the display `by` rounds later, or earlier where `by` is negative."""
        if self.reading is not None:
            self.playhead.step(by, self._ends_ns)
            self._update_snapshot()

    def action_replay(self) -> None:
        """Replay from the start."""
        self.playhead.replay()
        self._update_snapshot()

    def action_faster(self) -> None:
        """Choose the next replay speed."""
        self.playhead.faster()
        self._update_snapshot()

    def action_follow(self) -> None:
        """Go to the newest round."""
        self.playhead.follow()
        self._update_snapshot()

    def action_refresh(self, by: int) -> None:
        """Update the screen more or less often."""
        place = max(0, min(RATES_HZ.index(self.hertz) + by, len(RATES_HZ) - 1))
        self.hertz = RATES_HZ[place]
        self._ticker.stop()
        self._ticker = self.set_interval(1 / self.hertz, self._tick)
        self.notify(f"{self.hertz} updates a second", timeout=1.5)

    def action_help(self) -> None:
        """Open the help."""
        self.push_screen(HelpScreen([*APP_KEYS, *DASHBOARD_KEYS, *FINDINGS_KEYS]))

    def action_findings(self) -> None:
        """Open the findings."""
        self.push_screen(FindingsScreen(), self._jump)

    def _jump(self, index: int | None) -> None:
        """Pause the display at the round of this index; None: the user only closed the findings."""
        if self.reading is None or index is None:
            return
        places = (self.reading.columns.rounds.index == index).nonzero()[0]
        if len(places):
            self.playhead.jump(int(places[0]) + 1, self._ends_ns)
            self._update_snapshot()
        else:
            self.notify(f"round {index} is not in the capture", severity="warning")


def show(
    path: Path,
    child: Popen[bytes] | None = None,
    log: Path | None = None,
    *,
    ascii_only: bool = False,
) -> int:
    """Show a capture until the user quits, and return the exit code for the command line.

    `child` is the recording process. If it still runs when the user quits, it is interrupted and
    gets time to close its capture. Raises CaptureUnreadable where the file is no capture. Without a
    `child` it also raises that for a capture so damaged that no result could be read.
    """
    alive = None if child is None else lambda: child.poll() is None
    app = Dashboard(path, alive=alive, log=log, ascii_only=ascii_only)
    with end_without_terminal(child):
        trouble = app.run()
    code = 0 if child is None else stop_child(child)
    if trouble is not None:
        raise trouble
    damage = app.reading.columns.unreadable if app.reading and child is None else None
    if damage and not app.return_code:
        raise no_result_error(path, damage)
    # Textual has printed its own crash by now; the exit code 0 of the run must not hide it.
    return code or app.return_code or 0


def _count_judgeable(columns: Columns) -> tuple[int, ...]:
    """Return counts that change whenever there is something new to judge, such as the end."""
    tables: list[Sized] = [columns.rounds, columns.passes, columns.overlaps, columns.damaged]
    return (*map(len, tables), columns.end is not None)
