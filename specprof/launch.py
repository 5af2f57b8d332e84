"""Starts runs for the command line: on a terminal as a child the dashboard follows, else in place.

The models and the dashboard never share a process: a redraw must not steal time from what is
timed, and neither's crash takes the other's data. The capture file is all that joins them.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from specprof import sweep
from specprof.capture import CaptureWriter, read_capture
from specprof.errors import INTERRUPTED, SpecprofError, UsageError
from specprof.limits import NEEDS_DRAFT
from specprof.plan import expand
from specprof.progress import SELDOM_S, Progress, SweepProgress
from specprof.settings import Profile, RunSpec

POLL_S = 0.05
CLOSING_S = 5.0
"""Given to a run nobody watches any more to close its capture; then it is on its own."""


Follow = Callable[[Sequence[str], Path], None]
"""Makes a profile's probes of a capture that is complete."""


def launch(
    profile: Profile, *, output: Path | None, force: bool, tui: bool, follow: Follow
) -> int | Path:
    """Run a profile; return one run's exit code, or the folder a sweep was recorded in."""
    specs = expand(profile)
    _refuse_absent_models(specs)
    place = output or Path(f"specprof-{profile.name}-{_stamp()}")
    if len(specs) * profile.repeats > 1:
        with sweep.held(place):  # another run's files are not removed under it
            index = sweep.begin(place, profile, specs, force=force)
        with sweep.held(place):
            _play_all(place, index, follow)
        return place
    path = output or place.with_name(place.name + ".jsonl")
    _refuse_existing(path, force=force)
    if tui and _on_terminal():
        return _watched(path)
    progress = Progress(specs[0])
    status = _record(specs[0], path, progress, force=force)
    progress.report()
    if path.exists():
        told(path)
    if status == "interrupted":
        return INTERRUPTED
    follow(profile.probes, path)
    return 0


def resume(folder: Path, follow: Follow) -> Path:
    """Go on with a sweep that was stopped: what is complete is kept, the rest is (re)done."""
    with sweep.held(folder):
        index = sweep.resumed(folder)
        waiting = sum(run.state == "waiting" for run in index.runs)
        _tell(f"{folder}: {len(index.runs) - waiting} of {len(index.runs)} runs are complete")
        _play_all(folder, index, follow)
    return folder


def _play_all(folder: Path, index: sweep.Index, follow: Follow) -> None:
    """Play a sweep's waiting runs in this process, which keeps the models between them."""

    def play(spec: RunSpec, path: Path) -> str:
        status = _record(spec, path, Progress(spec, every_s=SELDOM_S), force=True)
        if status == "complete" and not spec.repeat:
            follow(index.profile.probes, path)
        return status

    try:
        with _on_ending_signals(_interrupt):
            index = sweep.play_all(folder, index, play, SweepProgress())
    except KeyboardInterrupt:  # between two runs, none of which it ended
        _tell(f"{folder}: stopped between two runs\n  specprof run --resume {folder}")
        raise
    done = sum(run.state == "complete" for run in index.runs)
    _tell(f"{folder}: {done} of {len(index.runs)} runs complete")
    if done < len(index.runs):
        _tell(f"  specprof run --resume {folder}")
    _tell(f"  specprof compare --by-depth {folder}")


def _record(spec: RunSpec, path: Path, progress: Progress, *, force: bool) -> str:
    """Record one run in this process; return how it ended."""
    from specprof import registry
    from specprof.extend import Backend
    from specprof.recorder import record

    backend = registry.load(Backend, registry.member("backend", spec.settings.backend))()
    with CaptureWriter(path, overwrite=force) as writer, _on_ending_signals(_interrupt):
        try:
            end = record(backend, spec, writer, command=sys.argv[1:], listener=progress.hear)
        except BaseException:
            _forget_empty(path)
            raise
    if writer.trouble:
        title = f"recording stopped: {writer.trouble}; {writer.lost} events were lost"
        raise SpecprofError(title, f"make room and run again; what came before is kept in {path}")
    if end.status == "interrupted":
        _forget_empty(path)
    return end.status


def _watched(path: Path) -> int:
    """Run in a child process and follow its capture in the dashboard."""
    log = path.with_suffix(path.suffix + ".log")
    command = [sys.executable, "-m", "specprof", *sys.argv[1:], "--no-tui", "--output", str(path)]
    with log.open("wb") as narration:
        child = subprocess.Popen(  # noqa: S603 - our own command line again
            command,
            stdin=subprocess.DEVNULL,
            stdout=narration,
            stderr=narration,
            start_new_session=True,  # a Ctrl-C is the dashboard's to pass on
        )
        with _never_left_alone(child):
            code = _shown(path, child, log)
    if code is None:
        return _failed_early(child, log)
    if path.exists():
        told(path)
    else:  # stopped before the child had anything to keep
        log.unlink(missing_ok=True)
    return code


def _shown(path: Path, child: subprocess.Popen[bytes], log: Path) -> int | None:
    """Show the run once it has begun; return the exit code, None if it ended before that."""
    from specprof.tui.stop import ended

    try:
        if not _wait_for_header(path, child):
            return None
        from specprof.tui.app import show

        return show(path, child, log)
    except KeyboardInterrupt:  # before the dashboard was there to hear it, or after
        return ended(child)


@contextlib.contextmanager
def _never_left_alone(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ask the child to close its capture if this process is told to end, or fails."""

    def leave(number: int, _: object) -> None:
        _close(child)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(signal.Signals(number))

    with _on_ending_signals(leave):
        try:
            yield
        finally:
            _close(child)


@contextlib.contextmanager
def _on_ending_signals(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Hand SIGTERM and SIGHUP to `handler` inside the block, and put back what was there."""
    told_to = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(number, handler) for number in told_to]
    try:
        yield
    finally:
        for number, handled in zip(told_to, before, strict=True):
            signal.signal(number, handled)


def _interrupt(_number: int, _frame: object) -> None:
    """Take the signal like a Ctrl-C: the capture is closed, whoever ends the run."""
    raise KeyboardInterrupt


def _close(child: subprocess.Popen[bytes]) -> None:
    # Not by SIGINT: whoever is started in the background of a script inherits it ignored.
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(CLOSING_S)


def _wait_for_header(path: Path, child: subprocess.Popen[bytes]) -> bool:
    """Wait while the models load; False if the child ended before its first line."""
    _tell("loading the models ...")
    while child.poll() is None:
        if path.exists() and path.stat().st_size:
            return True
        time.sleep(POLL_S)
    return path.exists() and path.stat().st_size > 0 and child.returncode == 0


def _failed_early(child: subprocess.Popen[bytes], log: Path) -> int:
    """Pass on what the child said before it failed."""
    sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
    log.unlink(missing_ok=True)
    return INTERRUPTED if child.returncode < 0 else child.returncode


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.exists() and not path.is_file():  # --force on /dev/null would end in deleting it
        hint = "choose a file with -o: a capture is read while it grows, and cut back when torn"
        raise UsageError(f"can't write {path}: it is no regular file", hint)
    if path.exists() and not force:
        raise UsageError(f"{path} exists already", "choose another -o, or pass --force")


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


def _forget_empty(path: Path) -> None:
    """Leave no file behind where a run ended before its first result: nothing is lost by it."""
    kinds = ("round", "burst", "scored", "overlaps", "scan")
    results = [f'"event":"{kind}"'.encode() for kind in kinds]
    if not path.exists():
        return
    with path.open("rb") as file:
        empty = not any(kind in line for line in file for kind in results)
    if empty:
        path.unlink()


def told(path: Path) -> None:
    """Say on stderr what was kept, and what to do with it."""
    capture = read_capture(path)
    rounds = capture.end.rounds if capture.end else "an unknown number of"
    _tell(f"{path}: {rounds} rounds, {capture.state}")
    _tell(f"  specprof diagnose {path}")
    _tell(f"  specprof view {path}")
    _tell(f"  specprof export speedscope {path}")


def _stamp() -> str:
    return datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
