"""A sweep: many cells, each run several times, in an order in which drift affects all equally.

Knows files, states and time left; the caller hands in how a run is played. The folder's index holds
what was asked for and how far the sweep came, so that a stopped sweep can go on.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal

import msgspec

from specprof import writing
from specprof.capture import CaptureReader, read_capture
from specprof.errors import INTERRUPTED, CaptureUnreadable, SpecprofError, UsageError
from specprof.limits import check_length, check_values
from specprof.locking import lock, refuse_recorded
from specprof.plain import as_json, brief
from specprof.reading import is_regular, read_bytes
from specprof.reasons import reason_of
from specprof.records import Header
from specprof.settings import MOST_RUNS, Profile, RunSpec
from specprof.version import __version__

INDEX = "sweep.json"
SCHEMA = "specprof.sweep/1"
MAX_NAME_CHARS = 40
CAPTURE_START = b'{"event":"header"'
"""The first bytes of a capture."""
MAX_HEADER_BYTES = 1 << 20
"""Bytes of a capture that hold its first line."""
MAX_RUN_S = 1e9
"""The longest run: thirty years."""
MAX_INDEX_BYTES = 64 << 20
"""The largest index: some 10,000 runs."""
State = Literal["waiting", "complete", "interrupted", "failed"]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One repetition of a cell, and its state."""

    spec: RunSpec
    file: str
    """Its capture, in the sweep's folder."""
    state: State = "waiting"
    trouble: str | None = None
    """Why it failed."""
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    wall_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_RUN_S)] | None = None
    """Its duration with loading; None until it is complete."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep was asked for, and how far it came."""

    schema: str = SCHEMA
    specprof: str = __version__
    profile: Profile
    runs: Annotated[list[Run], msgspec.Meta(max_length=MOST_RUNS)]
    """In the order they are played."""

    @property
    def exit_code(self) -> int:
        """0 if all runs are complete, 130 if runs are left, else the failed runs' code, or 1."""
        if any(run.state in ("waiting", "interrupted") for run in self.runs):
            return INTERRUPTED
        codes = {run.exit_code for run in self.runs if run.state == "failed"} or {0}
        return codes.pop() if len(codes) == 1 else SpecprofError.exit_code


Play = Callable[[RunSpec, Path], str]
"""Plays a run into a capture and returns how it ended: `complete` or `interrupted`."""


class Listener:
    """Is called as a sweep goes on; this base class does nothing."""

    def run_begins(self, index: Index, number: int) -> None:
        """Take notice that run `number`, from 0, begins."""

    def run_ended(self, index: Index, number: int, error: Exception | None) -> None:
        """Take notice that run `number` ended, with the error that ended it if it failed."""


def order_runs(specs: Sequence[RunSpec], repeats: int) -> list[RunSpec]:
    """Return every spec `repeats` times: A B C, C B A, A B C ... so that drift cancels."""
    return [
        msgspec.structs.replace(spec, repeat=repeat)
        for repeat in range(repeats)
        for spec in (specs if repeat % 2 == 0 else reversed(specs))
    ]


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Lock a sweep's folder inside the block, so that no two processes write to its files."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is not there yet, or `begin` or `read_index` will refuse it
        yield
        return
    try:
        lock(place)
    except BlockingIOError:
        os.close(place)
        title = f"{folder} is being written by another run"
        raise UsageError(title, "wait for it to end, or choose another -o") from None
    try:
        yield
    finally:
        os.close(place)


def begin(folder: Path, profile: Profile, specs: Sequence[RunSpec], *, force: bool) -> Index:
    """Make the folder and its index. Only `force` removes an existing sweep's captures."""
    try:
        _make_room(folder, force=force)
        cells = {spec.id: number for number, spec in enumerate(specs, start=1)}
        runs = [
            Run(spec=spec, file=f"{cells[spec.id]:02d}{_slug(spec.label)}.{spec.repeat + 1}.jsonl")
            for spec in order_runs(specs, profile.repeats)
        ]
        index = Index(profile=profile, runs=runs)
        _write_index(folder, index)
    except OSError as trouble:
        hint = "choose a writable place with -o FOLDER"
        raise UsageError(f"can't write {folder}: {trouble.strerror}", hint) from trouble
    return index


def read_index(folder: Path) -> Index:
    """Read a sweep's index; raise CaptureUnreadable if the folder holds no sound index."""
    hint = "give a folder that a sweep of `specprof run` made"
    path = folder / INDEX
    written = b""
    try:
        written = read_bytes(path, MAX_INDEX_BYTES)
        index = msgspec.json.decode(written, type=Index)
    except OSError as trouble:
        raise CaptureUnreadable(f"can't read {path}: {trouble.strerror}", hint) from trouble
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        reason = reason_of(trouble, written, Index)
        raise CaptureUnreadable(f"{path} is no sweep's index: {reason}", hint) from trouble
    if index.schema != SCHEMA:
        raise CaptureUnreadable(f"{path} has schema {brief(index.schema)!r}, not {SCHEMA}", hint)
    files = set[str]()
    for run in index.runs:  # the index may come from a stranger, and its files will be written
        inside = Path(run.file).name == run.file and run.file.isprintable()
        if not inside or not run.file.endswith(".jsonl"):
            raise CaptureUnreadable(f"{path} names a file outside: {brief(run.file)!r}", hint)
        if run.file in files:  # one run would be written over the other
            raise CaptureUnreadable(f"{path} names a file twice: {brief(run.file)!r}", hint)
        files.add(run.file)
        try:
            check_values(msgspec.structs.asdict(run.spec.settings))
            check_length(run.spec.settings)
        except UsageError as trouble:  # such a run might never end
            title = f"{path} asks for settings no run can have: {trouble.title}, {trouble.hint}"
            raise CaptureUnreadable(title, hint) from trouble
    return index


def resume_index(folder: Path) -> Index:
    """Return the index, in which every run without a complete capture is waiting.

    Raises UsageError if a file is a link, for the run would be written somewhere else. It also
    raises it if a file is no capture of the run, for the run would overwrite it.
    """
    index = read_index(folder)
    writing.refuse_links(folder, [INDEX, *(run.file for run in index.runs)])
    for run in index.runs:
        _refuse_other_content(folder / run.file, run)
    return msgspec.structs.replace(index, runs=[_update_state(folder, run) for run in index.runs])


def play_all(folder: Path, index: Index, play: Play, listener: Listener) -> Index:
    """Play every waiting run; return the index with their states, which is also on disk.

    After a failed run the next run is played. A Ctrl-C ends the run and the sweep. The sweep also
    ends if the index can't be written.
    """
    for number, run in enumerate(index.runs):
        if run.state != "waiting":
            continue
        listener.run_begins(index, number)
        done, error = _play_run(run, folder / run.file, play)
        runs = [*index.runs[:number], done, *index.runs[number + 1 :]]
        index = msgspec.structs.replace(index, runs=runs)
        try:
            _write_index(folder, index)
        except SpecprofError as trouble:
            hint = f"make room, then go on: specprof run --resume {folder}"
            raise SpecprofError(trouble.title, hint) from trouble
        finally:
            listener.run_ended(index, number, error)
        if done.state == "interrupted":
            break
    return index


def seconds_left(runs: Sequence[Run]) -> float | None:
    """Return the seconds that the waiting runs should take; None if no run is complete yet.

    A run is expected to take the mean of its cell's runs. A cell that was not run yet is expected
    to take the mean of the runs of its workload, or else of all runs.
    """
    known = [run for run in runs if run.wall_s is not None]
    if not known:
        return None
    waiting = [run for run in runs if run.state == "waiting"]
    return sum(_expected_s(run, known) for run in waiting)


def _expected_s(run: Run, known: Sequence[Run]) -> float:
    like = [each for each in known if each.spec.id == run.spec.id]
    workload = run.spec.settings.workload
    like = like or [each for each in known if each.spec.settings.workload == workload] or [*known]
    return fmean(each.wall_s or 0.0 for each in like)


def _play_run(run: Run, path: Path, play: Play) -> tuple[Run, Exception | None]:
    started = time.monotonic()
    changed = msgspec.structs.replace
    try:
        status = play(run.spec, path)
    except KeyboardInterrupt:  # it came outside the recording, which would have caught it
        return changed(run, state="interrupted"), None
    except SpecprofError as error:
        return changed(run, state="failed", trouble=error.title, exit_code=error.exit_code), error
    except Exception as error:  # noqa: BLE001 - one broken cell must not cost the others
        trouble = f"{type(error).__name__}: {error}"
        return changed(run, state="failed", trouble=trouble, exit_code=1), error
    if status != "complete":
        return changed(run, state="interrupted"), None
    return changed(run, state="complete", wall_s=time.monotonic() - started), None


def _update_state(folder: Path, run: Run) -> Run:
    """Return the run with the state that its capture shows: complete, or waiting."""
    path = folder / run.file
    if run.state == "complete" and is_regular(path):
        return run
    try:  # a kill may have come after the capture's last line and before the index was written
        capture = read_capture(path)
        whole = capture.state == "complete" and not capture.damaged
    except CaptureUnreadable:
        whole = False
    return msgspec.structs.replace(
        run, state="complete" if whole else "waiting", trouble=None, exit_code=0
    )


def _refuse_other_content(path: Path, run: Run) -> None:
    """Refuse a file that holds something else than this run's capture.

    An index may come from a stranger, and name a file of the user's own. A capture whose first line
    is torn counts as the run's: a kill leaves that.
    """
    if writing.kind_of(path) not in {"nothing", "file"}:
        title = f"{path} is where a run is recorded, and it is no regular file"
        raise UsageError(title, "move it away, or move the sweep to a folder of its own")
    if not is_regular(path) or not path.stat().st_size:
        return
    try:
        first = next(iter(CaptureReader(path).poll(MAX_HEADER_BYTES)), None)
        with path.open("rb") as file:
            torn = first is None and file.read(len(CAPTURE_START)) == CAPTURE_START
    except (CaptureUnreadable, OSError):
        first, torn = None, False
    spec = first.spec if isinstance(first, Header) else None
    ours = spec is not None and (spec.id, spec.repeat) == (run.spec.id, run.spec.repeat)
    if not (ours or torn):
        title = f"{path} holds something else than the run that {INDEX} names"
        raise UsageError(title, "move it away, or move the sweep to a folder of its own")


def _make_room(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", "a sweep writes a folder: choose another -o")
    folder.mkdir(parents=True, exist_ok=True)
    if all(each.name.startswith(writing.PRIVATE_PREFIX) for each in folder.iterdir()):
        return  # nothing is in it but folders that a killed run may have left
    hint = "choose another -o, go on with --resume, or pass --force"
    if not (folder / INDEX).exists():
        raise UsageError(f"{folder} holds other files", "choose another -o")
    if not force:
        raise UsageError(f"{folder} holds a sweep already", hint)
    runs = read_index(folder).runs
    files = [folder / run.file for run in runs]
    for path, run in zip(files, runs, strict=True):
        refuse_recorded(path)
        _refuse_other_content(path, run)
    for path in files:
        path.unlink(missing_ok=True)


def _write_index(folder: Path, index: Index) -> None:
    """Write the index as a whole: no reader sees half of it."""
    content = msgspec.json.format(as_json(index), indent=1)
    writing.write(folder / INDEX, content, overwrite=True)


def _slug(label: str) -> str:
    words = re.sub(r"[^a-z0-9.=]+", "-", label.lower()).strip("-.")[:MAX_NAME_CHARS]
    return f"-{words}" if words else ""
