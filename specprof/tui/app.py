"""The dashboard: follows one capture file and shows it; `show` is what the command line calls.

Owns one reactive, the snapshot. Workers read and judge, and only post messages; what they post
becomes the next snapshot. Never writes to the capture, and never loads a model.
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
from specprof.tui.stop import at_once_without_terminal, ended
from specprof.tui.themes import DARK, LIGHT
from specprof.tui.vocabulary import vocabulary

RATES_HZ = (1, 2, 4, 10, 20)
"""Updates a second one may choose among."""
_BLURRED_HZ = 1
_SILENT_HZ = 1
"""Looks at a silent file a second, and updates where nothing is new."""
_JUDGE_EVERY_S, _SOON_S = 2.0, 0.2
_SHARE_OVER_S = 3.0
_JUDGE_SHARE = 0.1
"""Share of a core judging may take: after an answer it rests nine times as long as it took."""


class Dashboard(App[SpecprofError]):
    """Shows a capture; returns the error that ended it, or nothing."""

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
        self._left = Event()
        self._spent = deque[tuple[float, float]]()
        self.updates = 0
        """Snapshots shown so far: what benchmarks/dashboard.py counts."""

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
        """Let the workers end."""
        self._left.set()

    @property
    def pace_hz(self) -> int:
        """Updates a second: what the user chose, and 1 while the window is out of focus."""
        return self.hertz if self.app_focus else _BLURRED_HZ

    @property
    def _look_hz(self) -> int:
        """Looks a second at the file: fewer at one that is silent."""
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
                self.post_message(Spelled(vocabulary(reading.columns.header)))
                spelled = True
            if reading.final or (not reading.more and self._left.wait(1 / self._look_hz)):
                return

    @work(thread=True, group="judge", exit_on_error=True)
    def _judge(self) -> None:
        worker, judged = get_current_worker(), _heard(Columns())
        rest_s = _SOON_S
        while not worker.is_cancelled and not self._left.wait(rest_s):
            reading = self.reading
            if reading is None or reading.more or _heard(reading.columns) == judged:
                continue
            started = time.monotonic()
            diagnosis = self.judge(reading.columns)
            judged = _heard(reading.columns)
            self.post_message(Judged(diagnosis, len(reading.columns.rounds)))
            took_s = time.monotonic() - started
            rest_s = max(_JUDGE_EVERY_S, took_s * (1 / _JUDGE_SHARE - 1))
            if reading.final:  # nothing more will come: the last word need not wait
                rest_s = _SOON_S

    # --- messages: only these change what is shown ------------------------------------------------

    @on(Advanced)
    def _advanced(self, message: Advanced) -> None:
        self.reading = message.reading
        self._show()

    @on(Judged)
    def _judged_on(self, message: Judged) -> None:
        self._diagnosis, self._judged = message.diagnosis, message.rounds
        self._show()

    @on(Spelled)
    def _spelled(self, message: Spelled) -> None:
        self._token_text = message.token_text
        self._show()

    @on(Filtered)
    def _filtered(self, message: Filtered) -> None:
        self._needle = message.needle
        self._show()

    @on(Unreadable)
    def _unreadable(self, message: Unreadable) -> None:
        self.exit(message.trouble, return_code=message.trouble.exit_code)

    def _tick(self) -> None:
        if self.playhead.replaying:
            self._show()

    def _show(self) -> None:
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
        assert self.reading is not None  # noqa: S101 - asked only once something was read
        return self.reading.columns.rounds.end_ns

    def _own_share(self) -> float | None:
        """Return processor time over wall time of the last few seconds; None at first."""
        now = self._clock(), time.process_time()
        while len(self._spent) > 1 and now[0] - self._spent[1][0] > _SHARE_OVER_S:
            self._spent.popleft()
        self._spent.append(now)
        wall, processor = now[0] - self._spent[0][0], now[1] - self._spent[0][1]
        return processor / wall if wall >= _SHARE_OVER_S else None

    # --- keys ---------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Hold the display where it stands, or let it go on."""
        if self.reading is not None:
            self.playhead.toggle(self._ends_ns)
            self._show()

    def action_step(self, by: int) -> None:
        """Hold the display some rounds on or back."""
        if self.reading is not None:
            self.playhead.step(by, self._ends_ns)
            self._show()

    def action_replay(self) -> None:
        """Replay from the start."""
        self.playhead.replay()
        self._show()

    def action_faster(self) -> None:
        """Take the next replay speed."""
        self.playhead.faster()
        self._show()

    def action_follow(self) -> None:
        """Go to the newest round."""
        self.playhead.follow()
        self._show()

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
        """Hold the display at the round of that index; None: the findings were merely closed."""
        if self.reading is None or index is None:
            return
        places = (self.reading.columns.rounds.index == index).nonzero()[0]
        if len(places):
            self.playhead.jump(int(places[0]) + 1, self._ends_ns)
            self._show()
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

    `child` is the recording process: where it still runs then, it is interrupted and waited for,
    so that it closes its capture. Raises CaptureUnreadable where the file is no capture, or, of one
    without such a process, where it is so damaged that no result of it could be read.
    """
    alive = None if child is None else lambda: child.poll() is None
    app = Dashboard(path, alive=alive, log=log, ascii_only=ascii_only)
    with at_once_without_terminal(child):
        trouble = app.run()
    code = 0 if child is None else ended(child)
    if trouble is not None:
        raise trouble
    damage = app.reading.columns.unreadable if app.reading and child is None else None
    if damage and not app.return_code:
        raise no_result_error(path, damage)
    # Textual has told of a crash of its own by then; a run that went well doesn't hide it.
    return code or app.return_code or 0


def _heard(columns: Columns) -> tuple[int, ...]:
    """Return how much of a recording there is to judge; its end is judged once more."""
    told: list[Sized] = [columns.rounds, columns.passes, columns.overlaps, columns.damaged]
    return (*map(len, told), columns.end is not None)
