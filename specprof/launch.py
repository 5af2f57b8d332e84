"""Starts runs for the command line: on a terminal as a child the dashboard follows, else in place.

The models and the dashboard never share a process: a redraw must not steal time from what is
timed, and neither's crash takes the other's data. The capture file is all that joins them.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from specprof import endings, sweep, trust, writing
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.endings import as_interrupts, close, heed_lifeline, lifeline
from specprof.errors import INTERRUPTED, SpecprofError
from specprof.limits import NEEDS_DRAFT, check
from specprof.locking import claimed, refuse_recorded
from specprof.narration import MARK, aside, log_for, own_lines, tell
from specprof.plan import check_probes, expand
from specprof.progress import SELDOM_S, Progress, SweepProgress
from specprof.reading import open_regular, read_end
from specprof.records import Event
from specprof.settings import Profile, RunSpec, Settings

POLL_S = 0.05
LOG_BYTES = 1 << 20
"""Passed on of a failed run's own output, its end."""
LOOK_S = 1.0
"""Between two looks at whether the file that is recorded still has its name."""
LOGS = 100
"""Names tried for the log of one capture."""
LOG_OPENING = 64
"""Bytes of a log by which a run's own is known."""
_OPENS_A_LOG = re.compile(rb"\[ *\d+\.\d s\] |" + re.escape(MARK).encode()).match
_Standing = tuple[int, int, int]

Follow = Callable[[Sequence[str], Path, Settings], None]
"""Makes a profile's probes of a capture that is complete, and of the settings it was run with."""


def launch(
    profile: Profile, *, output: Path | None, force: bool, tui: bool, follow: Follow
) -> int | Path:
    """Run a profile; return one run's exit code, or the folder a sweep was recorded in."""
    heed_lifeline()
    specs = expand(profile)
    _refuse_absent_models(specs)
    place = output or Path(f"specprof-{writing.file_name(profile.name)}-{_stamp()}")
    if len(specs) * profile.repeats > 1:
        with sweep.held(place):  # another run's files are not removed under it
            index = sweep.begin(place, profile, specs, force=force)
        with sweep.held(place):
            _play_all(place, index, follow)
        return place
    path = output or place.with_name(place.name + ".jsonl")
    _refuse_existing(path, force=force)
    if tui and _on_terminal():
        return _watched(path, force=force)
    progress = Progress(specs[0])
    status = _record(specs[0], path, progress, force=force)
    progress.report()
    if path.exists():
        _say_what_is_kept(path)
    if status == "interrupted":
        return INTERRUPTED
    follow(profile.probes, path, specs[0].settings)
    return 0


def resume(folder: Path, follow: Follow, allowed: trust.Allowed) -> Path:
    """Go on with a sweep that was stopped: what is complete is kept, the rest is (re)done.

    Its index may be anybody's: it asks for nothing but what the user `allowed`.
    """
    with sweep.held(folder):
        index = sweep.resumed(folder)
        _check_index(folder, index, allowed)
        waiting = sum(run.state == "waiting" for run in index.runs)
        tell(f"{folder}: {len(index.runs) - waiting} of {len(index.runs)} runs are complete")
        _play_all(folder, index, follow)
    return folder


def _play_all(folder: Path, index: sweep.Index, follow: Follow) -> None:
    """Play a sweep's waiting runs in this process, which keeps the models between them."""

    def play(spec: RunSpec, path: Path) -> str:
        status = _record(spec, path, Progress(spec, every_s=SELDOM_S), force=True)
        if status == "complete" and not spec.repeat:
            follow(index.profile.probes, path, spec.settings)
        return status

    try:
        with as_interrupts():
            index = sweep.play_all(folder, index, play, SweepProgress())
    except KeyboardInterrupt:  # between two runs, none of which it ended
        tell(f"{folder}: stopped between two runs")
        tell(f"  {_resuming(folder, index)}")
        raise
    done = sum(run.state == "complete" for run in index.runs)
    tell(f"{folder}: {done} of {len(index.runs)} runs complete")
    if done < len(index.runs):
        tell(f"  {_resuming(folder, index)}")
    tell(f"  specprof compare --by-depth {folder}")


def _check_index(folder: Path, index: sweep.Index, allowed: trust.Allowed) -> None:
    """Refuse what no run can have, and what the user didn't allow, before anything is loaded."""
    specs = [run.spec for run in index.runs if run.state == "waiting"]
    trust.check(folder / sweep.INDEX, (spec.settings for spec in specs), allowed)
    check_probes(index.profile.probes)
    for spec in specs:
        check(spec.settings)
    _refuse_absent_models(specs)


def _resuming(folder: Path, index: sweep.Index) -> str:
    """Return the command that goes on with a sweep; it names again what isn't specprof's own."""
    named = trust.options(run.spec.settings for run in index.runs if run.state != "complete")
    return " ".join(["specprof run --resume", str(folder), *named])


def _record(spec: RunSpec, path: Path, progress: Progress, *, force: bool) -> str:
    """Record one run in this process; return how it ended."""
    with aside(log_for(path)):
        return _recorded(spec, path, progress, force=force)


def _recorded(spec: RunSpec, path: Path, progress: Progress, *, force: bool) -> str:
    from specprof import registry
    from specprof.engine.foreign import let_in_kernels
    from specprof.extend import Backend
    from specprof.recorder import record

    if spec.settings.trust_remote_code:
        let_in_kernels()
    backend = registry.get(Backend, spec.settings.backend)()
    with as_interrupts(), CaptureWriter(path, overwrite=force) as writer:
        try:
            if ending := endings.interrupt_due():
                raise ending  # noqa: TRY301 - it came while modules were loaded, and was swallowed
            if not writer.locked:
                tell(f"{path} can't be locked: let no other run record into it meanwhile")
            end = record(
                backend, spec, writer, command=sys.argv[1:], listener=_watching(writer, progress)
            )
            gone = writer.gone
        except BaseException:
            _forget_empty(writer)
            raise
        if end.status == "interrupted":
            tell(f"{path}: {end.reason}")
            _forget_empty(writer)
    if gone:
        raise _lost(path)
    if writer.trouble:
        title = f"recording stopped: {writer.trouble}; {writer.lost} events were lost"
        raise SpecprofError(title, f"make room and run again; what came before is kept in {path}")
    return end.status


def _watching(writer: CaptureWriter, progress: Progress) -> Callable[[Event], None]:
    """Return a listener that ends the run soon after its file has lost its name.

    What is recorded from then on is lost, and hours of a device with it.
    """
    looked = time.monotonic()

    def hear(event: Event) -> None:
        nonlocal looked
        progress.hear(event)
        if (now := time.monotonic()) - looked > LOOK_S:
            looked = now
            if writer.gone:
                raise _lost(writer.path)

    return hear


def _lost(path: Path) -> SpecprofError:
    title = f"{path} was deleted or replaced while it was recorded: what was recorded is lost"
    return SpecprofError(title, "run again, and leave the file where it is until the run has ended")


def _watched(path: Path, *, force: bool = False) -> int:
    """Run in a child process and follow its capture in the dashboard."""
    log, before = _free_log(path, force=force), _standing(path)
    command = [sys.executable, "-m", "specprof", *sys.argv[1:], "--no-tui", "--output", str(path)]
    with _narration(log, force=force) as narration, lifeline("the dashboard was killed") as tied:
        child = subprocess.Popen(  # noqa: S603 - our own command line again
            command,
            stdin=subprocess.DEVNULL,
            stdout=narration,
            stderr=narration,
            start_new_session=True,  # a Ctrl-C is the dashboard's to pass on
            **tied,
        )
        with _never_left_alone(child):
            code = _shown(path, child, log, before)
        return _failed_early(child, log) if code is None else _told_of(path, child, log, code)


def _free_log(path: Path, *, force: bool) -> Path:
    """Return where the log of a run goes: CAPTURE.log, numbered where that may be the user's own.

    `force` gives up the log of a run with its capture, and nothing else that has its name.
    """
    names = [log_for(path), *(path.with_name(f"{path.name}.{n}.log") for n in range(2, LOGS + 1))]
    return next((log for log in names if _is_unused(log) or (force and _is_a_runs(log))), names[0])


def _is_unused(log: Path) -> bool:
    """Whether nothing is lost by writing there: it is absent, or an empty file."""
    kind = writing.found(log)
    return kind == "nothing" or (kind == "file" and not log.lstat().st_size)


def _is_a_runs(log: Path) -> bool:
    """Whether a run's log stands there: its first line is a run's own, or a library's in it."""
    try:
        if writing.found(log) != "file":
            return False
        with open_regular(log) as file:
            return _OPENS_A_LOG(file.read(LOG_OPENING)) is not None
    except (OSError, SpecprofError):
        return False


@contextlib.contextmanager
def _narration(log: Path, *, force: bool = False) -> Iterator[int]:
    """Open the log of a run; it is locked as long as the run or its viewer has it open.

    What holds something already is emptied only by `force`, and only if it is a run's log. Raises
    UsageError.
    """
    file, _ = claimed(log, overwrite=force and _is_a_runs(log))
    try:
        yield file
    finally:
        os.close(file)


def _shown(
    path: Path, child: subprocess.Popen[bytes], log: Path, before: _Standing | None
) -> int | None:
    """Show the run once it has begun; return the exit code, None if it ended before that."""
    from specprof.tui.stop import ended

    try:
        if not _wait_for_header(path, child, before):
            return None
        from specprof.tui.app import show

        return show(path, child, log)
    except KeyboardInterrupt:  # before the dashboard was there to hear it, or after
        return ended(child)


def _told_of(path: Path, child: subprocess.Popen[bytes], log: Path, code: int) -> int:
    """Say what was kept of a run that was shown, and what the run itself said last if it failed."""
    if child.returncode in {0, INTERRUPTED}:
        if path.exists():
            _say_what_is_kept(path)
        else:  # stopped before the child had anything to keep
            log.unlink(missing_ok=True)
        return code
    if not path.exists():
        return _failed_early(child, log)
    sys.stderr.writelines(_said(log).splitlines(keepends=True)[-2:])
    _say_what_is_kept(path)
    return code


@contextlib.contextmanager
def _never_left_alone(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ask the child to close its capture if this process is told to end, or fails."""
    with as_interrupts():
        try:
            yield
        finally:
            close(child)


def _standing(path: Path) -> _Standing | None:
    """Return what tells a file from what it is once a run has written to it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _wait_for_header(path: Path, child: subprocess.Popen[bytes], before: _Standing | None) -> bool:
    """Wait while the models load; False if the child ended before its first line.

    `before` is the file as it stood until then, which is overwritten where that was asked for.
    """

    def begun() -> bool:
        found = _standing(path)
        return found is not None and found != before and found[1] > 0

    tell("loading the models ...")
    while child.poll() is None:
        if begun():
            return True
        time.sleep(POLL_S)
    return begun() and child.returncode == 0


def _failed_early(child: subprocess.Popen[bytes], log: Path) -> int:
    """Pass on what the child said before it failed."""
    sys.stderr.write(own_lines(_said(log)))
    log.unlink(missing_ok=True)
    return INTERRUPTED if child.returncode < 0 else child.returncode


def _said(log: Path) -> str:
    try:
        return read_end(log, LOG_BYTES)
    except OSError as trouble:
        return f"can't read {log}: {trouble.strerror}\n"


def _refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse a place that can't be had; an empty file was left by a run killed while it loaded."""
    refuse_recorded(path)
    empty = writing.found(path) == "file" and not path.lstat().st_size
    writing.check_room(path, overwrite=force or empty)


def _refuse_absent_models(specs: list[RunSpec]) -> None:
    """Refuse models that can't be anywhere, by their names, before anything is loaded.

    A misspelt member of the embedded family is refused always; a place where nothing is costs a
    sweep no more than the cell that asks for it.
    """
    from specprof import pocket
    from specprof.engine.checkpoints import where

    for spec in specs:
        asked = spec.settings
        drafts = asked.drafter in NEEDS_DRAFT
        kind: where.Kind = "head" if asked.drafter == "eagle" else "model"
        named: dict[str | None, where.Kind] = {asked.target: "model"}
        named |= (
            {asked.draft: kind} if drafts or (asked.draft or "").startswith(pocket.PREFIX) else {}
        )
        for name, wanted in named.items():
            alone = len(specs) == 1 and asked.backend != "synthetic"
            if name is not None and (alone or name.startswith(pocket.PREFIX)):
                where.place_of(name, wanted)


def _forget_empty(writer: CaptureWriter) -> None:
    """Leave no file behind where a run ended before its first result: nothing is lost by it."""
    kinds = ("round", "burst", "scored", "overlaps", "scan")
    results = [f'"event":"{kind}"'.encode() for kind in kinds]
    if writer.gone:
        return
    with open_regular(writer.path) as file:
        empty = not any(kind in line for line in file for kind in results)
    if empty:
        writer.forget()  # still locked: no other run can have begun in it


def _say_what_is_kept(path: Path) -> None:
    """Say on stderr what was kept, and what to do with it."""
    capture = read_capture(path)
    rounds = capture.end.rounds if capture.end else "an unknown number of"
    tell(f"{path}: {rounds} rounds, {capture.state}")
    tell(f"  specprof diagnose {path}")
    tell(f"  specprof view {path}")
    tell(f"  specprof export speedscope {path}")


def _stamp() -> str:
    return datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
