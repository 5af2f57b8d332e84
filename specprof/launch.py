"""Starts runs for the command line: beside a dashboard in a child process, else in this process.

The models and the dashboard never share a process. A redraw must not take time from what is timed,
and a crash of one must not lose the other's data. Only the capture file joins them.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from specprof import endings, sweep, trust, writing
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.endings import close_child, heed_lifeline, open_lifeline, signals_as_interrupts
from specprof.errors import INTERRUPTED, SpecprofError
from specprof.limits import NEEDS_DRAFT, check
from specprof.locking import refuse_recorded
from specprof.narration import drop_library_lines, log_libraries, log_path, narrate
from specprof.plan import check_probes, expand
from specprof.progress import SELDOM_S, Progress, SweepProgress
from specprof.reading import open_regular, read_end
from specprof.records import Event
from specprof.run_log import choose_log, open_log
from specprof.settings import Profile, RunSpec, Settings

POLL_S = 0.05
MAX_PRINTED_LOG_BYTES = 1 << 20
"""How much of the end of a failed run's output is printed."""
LOOK_S = 1.0
"""Time between two checks that the recorded file still has its name."""
_FileState = tuple[int, int, int]

Follow = Callable[[Sequence[str], Path, Settings], None]
"""Runs a profile's probes on a complete capture; gets the probes, its path, and its settings."""


def launch(
    profile: Profile, *, output: Path | None, force: bool, tui: bool, follow: Follow
) -> int | Path:
    """Run a profile; return one run's exit code, or the folder a sweep was recorded in."""
    heed_lifeline()
    specs = expand(profile)
    _refuse_absent_models(specs)
    place = output or Path(f"specprof-{writing.safe_file_name(profile.name)}-{_timestamp()}")
    if len(specs) * profile.repeats > 1:
        with sweep.hold_folder(place):  # so that `force` removes no file that another run writes
            index = sweep.begin(place, profile, specs, force=force)
        with sweep.hold_folder(place):
            _play_all(place, index, follow)
        return place
    path = output or place.with_name(place.name + ".jsonl")
    _refuse_existing(path, force=force)
    if tui and _is_on_terminal():
        return _run_beside_dashboard(path, force=force)
    progress = Progress(specs[0])
    status = _record_beside_log(specs[0], path, progress, force=force)
    progress.report()
    if path.exists():
        _print_next_commands(path)
    if status == "interrupted":
        return INTERRUPTED
    follow(profile.probes, path, specs[0].settings)
    return 0


def resume(folder: Path, follow: Follow, allowed: trust.Allowed) -> Path:
    """Go on with a sweep that was stopped: keep the complete runs, play the others (again).

    The sweep may come from a stranger, so its index may ask only for what the user `allowed`.
    """
    with sweep.hold_folder(folder):
        index = sweep.resume_index(folder)
        _check_index(folder, index, allowed)
        waiting = sum(run.state == "waiting" for run in index.runs)
        narrate(f"{folder}: {len(index.runs) - waiting} of {len(index.runs)} runs are complete")
        _play_all(folder, index, follow)
    return folder


def _play_all(folder: Path, index: sweep.Index, follow: Follow) -> None:
    """Play a sweep's waiting runs in this process, which keeps the models between them."""

    def play(spec: RunSpec, path: Path) -> str:
        status = _record_beside_log(spec, path, Progress(spec, every_s=SELDOM_S), force=True)
        if status == "complete" and not spec.repeat:
            follow(index.profile.probes, path, spec.settings)
        return status

    try:
        with signals_as_interrupts():
            index = sweep.play_all(folder, index, play, SweepProgress())
    except KeyboardInterrupt:  # it came between two runs, and ended neither
        narrate(f"{folder}: stopped between two runs")
        narrate(f"  {_resume_command(folder, index)}")
        raise
    done = sum(run.state == "complete" for run in index.runs)
    narrate(f"{folder}: {done} of {len(index.runs)} runs complete")
    if done < len(index.runs):
        narrate(f"  {_resume_command(folder, index)}")
    narrate(f"  specprof compare --by-depth {folder}")


def _check_index(folder: Path, index: sweep.Index, allowed: trust.Allowed) -> None:
    """Refuse settings that no run can have, or that the user didn't allow, before any loading."""
    specs = [run.spec for run in index.runs if run.state == "waiting"]
    trust.check(folder / sweep.INDEX, (spec.settings for spec in specs), allowed)
    check_probes(index.profile.probes)
    for spec in specs:
        check(spec.settings)
    _refuse_absent_models(specs)


def _resume_command(folder: Path, index: sweep.Index) -> str:
    """Return the command that goes on with a sweep, with the options that allow its models."""
    named = trust.list_allow_options(
        run.spec.settings for run in index.runs if run.state != "complete"
    )
    return " ".join(["specprof run --resume", str(folder), *named])


def _record_beside_log(spec: RunSpec, path: Path, progress: Progress, *, force: bool) -> str:
    """Record one run in this process; return how it ended."""
    with log_libraries(log_path(path)):
        return _record_run(spec, path, progress, force=force)


def _record_run(spec: RunSpec, path: Path, progress: Progress, *, force: bool) -> str:
    from specprof import registry
    from specprof.engine.foreign import let_in_kernels
    from specprof.extend import Backend
    from specprof.recorder import record

    if spec.settings.trust_remote_code:
        let_in_kernels()
    backend = registry.get(Backend, spec.settings.backend)()
    with signals_as_interrupts(), CaptureWriter(path, overwrite=force) as writer:
        try:
            if ending := endings.interrupt_due():
                raise ending  # noqa: TRY301 - it came while modules were loaded, and was swallowed
            if not writer.locked:
                narrate(f"{path} can't be locked: start no other run with this output meanwhile")
            end = record(
                backend,
                spec,
                writer,
                command=sys.argv[1:],
                listener=_make_listener(writer, progress),
            )
            gone = writer.gone
        except BaseException:
            _remove_without_result(writer)
            raise
        if end.status == "interrupted":
            narrate(f"{path}: {end.reason}")
            _remove_without_result(writer)
    if gone:
        raise _lost_file_error(path)
    if writer.trouble:
        title = f"recording stopped: {writer.trouble}; {writer.lost} events were lost"
        raise SpecprofError(title, f"make room and run again; earlier events are kept in {path}")
    return end.status


def _make_listener(writer: CaptureWriter, progress: Progress) -> Callable[[Event], None]:
    """Return a listener that ends the run soon after its file has lost its name.

    Events recorded after that would be lost, and the device would be busy for nothing.
    """
    looked = time.monotonic()

    def hear(event: Event) -> None:
        nonlocal looked
        progress.hear(event)
        if (now := time.monotonic()) - looked > LOOK_S:
            looked = now
            if writer.gone:
                raise _lost_file_error(writer.path)

    return hear


def _lost_file_error(path: Path) -> SpecprofError:
    title = f"{path} was deleted or replaced while it was recorded: the recording is lost"
    return SpecprofError(title, "run again, and leave the file where it is until the run has ended")


def _run_beside_dashboard(path: Path, *, force: bool = False) -> int:
    """Run in a child process and follow its capture in the dashboard."""
    log, before = choose_log(path, force=force), _file_state(path)
    command = [sys.executable, "-m", "specprof", *sys.argv[1:], "--no-tui", "--output", str(path)]
    with (
        open_log(log, force=force) as narration,
        open_lifeline("the dashboard was killed") as tied,
    ):
        child = subprocess.Popen(  # noqa: S603 - our own command line again
            command,
            stdin=subprocess.DEVNULL,
            stdout=narration,
            stderr=narration,
            start_new_session=True,  # the dashboard gets a Ctrl-C, and passes it on
            **tied,
        )
        with _close_child_at_end(child):
            code = _show_dashboard(path, child, log, before)
        return (
            _report_early_failure(child, log)
            if code is None
            else _report_shown_run(path, child, log, code)
        )


def _show_dashboard(
    path: Path, child: subprocess.Popen[bytes], log: Path, before: _FileState | None
) -> int | None:
    """Show the run once it has begun; return the exit code, None if it ended before it began."""
    from specprof.tui.stop import stop_child

    try:
        if not _wait_for_header(path, child, before):
            return None
        from specprof.tui.app import show

        return show(path, child, log)
    except KeyboardInterrupt:  # it came before the dashboard could take it, or after it closed
        return stop_child(child)


def _report_shown_run(path: Path, child: subprocess.Popen[bytes], log: Path, code: int) -> int:
    """Print what a shown run kept, and the end of its log if it failed; return the exit code."""
    if child.returncode in {0, INTERRUPTED}:
        if path.exists():
            _print_next_commands(path)
        else:  # it was stopped before it had recorded anything
            log.unlink(missing_ok=True)
        return code
    if not path.exists():
        return _report_early_failure(child, log)
    sys.stderr.writelines(_read_log_end(log).splitlines(keepends=True)[-2:])
    _print_next_commands(path)
    return code


@contextlib.contextmanager
def _close_child_at_end(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ask the child to close its capture when the block ends, also by a signal or an error."""
    with signals_as_interrupts():
        try:
            yield
        finally:
            close_child(child)


def _file_state(path: Path) -> _FileState | None:
    """Return a file's inode, size and time, which a run's first write changes; None if absent."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _wait_for_header(path: Path, child: subprocess.Popen[bytes], before: _FileState | None) -> bool:
    """Wait while the models load; return False if the child ended before its first line.

    `before` is the state of an old file that the run may overwrite; None if there was none.
    """

    def begun() -> bool:
        found = _file_state(path)
        return found is not None and found != before and found[1] > 0

    narrate("loading the models ...")
    while child.poll() is None:
        if begun():
            return True
        time.sleep(POLL_S)
    return begun() and child.returncode == 0


def _report_early_failure(child: subprocess.Popen[bytes], log: Path) -> int:
    """Print what the child wrote to its log before it failed; return its exit code."""
    sys.stderr.write(drop_library_lines(_read_log_end(log)))
    log.unlink(missing_ok=True)
    return INTERRUPTED if child.returncode < 0 else child.returncode


def _read_log_end(log: Path) -> str:
    try:
        return read_end(log, MAX_PRINTED_LOG_BYTES)
    except OSError as trouble:
        return f"can't read {log}: {trouble.strerror}\n"


def _refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse an output that can't be written. An empty file may be overwritten: a kill left it."""
    refuse_recorded(path)
    empty = writing.kind_of(path) == "file" and not path.lstat().st_size
    writing.check_room(path, overwrite=force or empty)


def _refuse_absent_models(specs: list[RunSpec]) -> None:
    """Refuse models that can't be found, by their names, before anything is loaded.

    A misspelt name of the pocket family is always refused. Of a sweep, other missing models are not
    refused here: they fail only the cells that ask for them.
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


def _remove_without_result(writer: CaptureWriter) -> None:
    """Remove the file of a run that ended before its first result: nothing is lost."""
    kinds = ("round", "burst", "scored", "overlaps", "scan")
    results = [f'"event":"{kind}"'.encode() for kind in kinds]
    if writer.gone:
        return
    with open_regular(writer.path) as file:
        empty = not any(kind in line for line in file for kind in results)
    if empty:
        writer.forget()  # it is still locked, so no other run can be writing to it


def _print_next_commands(path: Path) -> None:
    """Print on stderr what was kept, and the commands that read it."""
    capture = read_capture(path)
    rounds = capture.end.rounds if capture.end else "an unknown number of"
    narrate(f"{path}: {rounds} rounds, {capture.state}")
    narrate(f"  specprof diagnose {path}")
    narrate(f"  specprof view {path}")
    narrate(f"  specprof export speedscope {path}")


def _timestamp() -> str:
    return datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _is_on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
