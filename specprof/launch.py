"""Starts runs for the command line: on a terminal as a child the dashboard follows, else in place.

The models and the dashboard never share a process: a redraw must not steal time from what is
timed, and neither's crash takes the other's data. The capture file is all that joins them.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from specprof.capture import CaptureWriter, read_capture
from specprof.errors import INTERRUPTED, SpecprofError, UsageError
from specprof.plan import expand, override, read_profile
from specprof.progress import Progress
from specprof.records import Profile, RunSpec

Given = dict[str, str | int | float | bool | None]
POLL_S = 0.05
CLOSING_S = 5.0
"""Given to a run nobody watches any more to close its capture; then it is on its own."""


def launch(profile: str, given: Given, *, output: Path | None, force: bool, tui: bool) -> int:
    """Run a profile with the given settings replaced; return the exit code."""
    wanted = override(read_profile(profile), **given)
    specs = expand(wanted)
    paths = capture_paths(wanted, specs, output)
    for path in paths:
        _refuse_existing(path, force=force)
    if tui and len(specs) == 1 and _on_terminal():
        return _watched(paths[0])
    codes = [_record(spec, path, force=force) for spec, path in zip(specs, paths, strict=True)]
    return max(codes)


def capture_paths(profile: Profile, specs: list[RunSpec], output: Path | None) -> list[Path]:
    """Return where each cell's capture goes: the asked file, or one named after the profile."""
    if output is None:
        now = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        output = Path(f"specprof-{profile.name}-{now}.jsonl")
    if len(specs) == 1:
        return [output]
    return [output.with_suffix(f".{spec.id}{output.suffix or '.jsonl'}") for spec in specs]


def _record(spec: RunSpec, path: Path, *, force: bool) -> int:
    """Run one cell in this process, narrating on stderr."""
    from specprof import registry
    from specprof.extend import Backend
    from specprof.recorder import record

    backend = registry.load(Backend, registry.member("backend", spec.settings.backend))()
    progress = Progress(spec)
    with CaptureWriter(path, overwrite=force) as writer, _on_ending_signals(_interrupt):
        try:
            end = record(backend, spec, writer, command=sys.argv[1:], listener=progress.hear)
        except BaseException:
            _forget_empty(path)
            raise
    progress.close()
    if writer.trouble:
        title = f"recording stopped: {writer.trouble}; {writer.lost} events were lost"
        raise SpecprofError(title, f"make room and run again; what came before is kept in {path}")
    told(path)
    return INTERRUPTED if end.status == "interrupted" else 0


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
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
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


def _forget_empty(path: Path) -> None:
    """Leave no file behind when a run failed before its first round: nothing is lost by it."""
    if path.exists() and not any(b'"event":"round"' in line for line in path.open("rb")):
        path.unlink()


def told(path: Path) -> None:
    """Say on stderr what was kept, and what to do with it."""
    capture = read_capture(path)
    rounds = capture.end.rounds if capture.end else "an unknown number of"
    _tell(f"{path}: {rounds} rounds, {capture.state}")
    _tell(f"  specprof diagnose {path}")
    _tell(f"  specprof view {path}")
    _tell(f"  specprof export speedscope {path}")


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
