"""A sweep: many cells, each run several times in an order that lets drift fall on all alike.

Knows files, states and time left; how a run is played is handed in. The folder's index says what
was asked and how far it came, so that a sweep that was stopped goes on where it was.
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
from specprof.limits import check_given, check_length
from specprof.locking import lock, refuse_recorded
from specprof.plain import as_json, brief
from specprof.reading import is_regular, read_bytes
from specprof.reasons import reason_of
from specprof.records import Header
from specprof.settings import MOST_RUNS, Profile, RunSpec
from specprof.version import __version__

INDEX = "sweep.json"
SCHEMA = "specprof.sweep/1"
LONGEST_NAME = 40
BEGINNING = b'{"event":"header"'
"""Of a capture."""
PIECE = 1 << 20
"""Bytes of a capture in which its first line ends."""
MOST_S = 1e9
"""Of a run: thirty years."""
LARGEST_BYTES = 64 << 20
"""Of an index: some 10,000 runs."""
State = Literal["waiting", "complete", "interrupted", "failed"]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One cell, once."""

    spec: RunSpec
    file: str
    """Its capture, in the sweep's folder."""
    state: State = "waiting"
    trouble: str | None = None
    """Why it failed."""
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    wall_s: Annotated[float, msgspec.Meta(ge=0, le=MOST_S)] | None = None
    """What it took, loading and all; None until it is complete."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep was asked for and how far it came."""

    schema: str = SCHEMA
    specprof: str = __version__
    profile: Profile
    runs: Annotated[list[Run], msgspec.Meta(max_length=MOST_RUNS)]
    """In the order they are played."""

    @property
    def exit_code(self) -> int:
        """0 if all is complete, 130 if stopped, else the failed runs' own if they agree, or 1."""
        if any(run.state in ("waiting", "interrupted") for run in self.runs):
            return INTERRUPTED
        codes = {run.exit_code for run in self.runs if run.state == "failed"} or {0}
        return codes.pop() if len(codes) == 1 else SpecprofError.exit_code


Play = Callable[[RunSpec, Path], str]
"""Plays a run into a capture and returns how it ended: `complete` or `interrupted`."""


class Listener:
    """Hears how a sweep goes; this one says nothing."""

    def begins(self, index: Index, number: int) -> None:
        """Hear that run `number`, from 0, begins."""

    def ended(self, index: Index, number: int, error: Exception | None) -> None:
        """Hear that it ended, with the error that ended it."""


def ordered(specs: Sequence[RunSpec], repeats: int) -> list[RunSpec]:
    """Return every spec `repeats` times: A B C, C B A, A B C ... so that drift cancels."""
    return [
        msgspec.structs.replace(spec, repeat=repeat)
        for repeat in range(repeats)
        for spec in (specs if repeat % 2 == 0 else reversed(specs))
    ]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a sweep's folder to this process: two that play its runs would write into one file."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # not there yet, or for `begin` and `read_index` to refuse
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
    """Make the folder and its index. An existing sweep's files are only removed by `force`."""
    try:
        _make_room(folder, force=force)
        cells = {spec.id: number for number, spec in enumerate(specs, start=1)}
        runs = [
            Run(spec=spec, file=f"{cells[spec.id]:02d}{_slug(spec.label)}.{spec.repeat + 1}.jsonl")
            for spec in ordered(specs, profile.repeats)
        ]
        index = Index(profile=profile, runs=runs)
        _keep(folder, index)
    except OSError as trouble:
        hint = "choose a writable place with -o FOLDER"
        raise UsageError(f"can't write {folder}: {trouble.strerror}", hint) from trouble
    return index


def read_index(folder: Path) -> Index:
    """Read a sweep's index; raises CaptureUnreadable where the folder holds none."""
    hint = "give a folder that a sweep of `specprof run` made"
    path = folder / INDEX
    written = b""
    try:
        written = read_bytes(path, LARGEST_BYTES)
        index = msgspec.json.decode(written, type=Index)
    except OSError as trouble:
        raise CaptureUnreadable(f"can't read {path}: {trouble.strerror}", hint) from trouble
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        reason = reason_of(trouble, written, Index)
        raise CaptureUnreadable(f"{path} is no sweep's index: {reason}", hint) from trouble
    if index.schema != SCHEMA:
        raise CaptureUnreadable(f"{path} has schema {brief(index.schema)!r}, not {SCHEMA}", hint)
    files = set[str]()
    for run in index.runs:  # it may come from anywhere, and names files that are written
        inside = Path(run.file).name == run.file and run.file.isprintable()
        if not inside or not run.file.endswith(".jsonl"):
            raise CaptureUnreadable(f"{path} names a file outside: {brief(run.file)!r}", hint)
        if run.file in files:  # one run would be written over the other
            raise CaptureUnreadable(f"{path} names a file twice: {brief(run.file)!r}", hint)
        files.add(run.file)
        try:
            check_given(msgspec.structs.asdict(run.spec.settings))
            check_length(run.spec.settings)
        except UsageError as trouble:  # what is made from them would never end
            title = f"{path} asks for what no run can have: {trouble.title}, {trouble.hint}"
            raise CaptureUnreadable(title, hint) from trouble
    return index


def resumed(folder: Path) -> Index:
    """Return the index with every run waiting that is not complete in its capture.

    Raises UsageError where one of its files is a link, for a run would be written somewhere else,
    and where one is no capture of the run, for it would be lost.
    """
    index = read_index(folder)
    writing.refuse_links(folder, [INDEX, *(run.file for run in index.runs)])
    for run in index.runs:
        _refuse_others(folder / run.file, run)
    return msgspec.structs.replace(index, runs=[_standing(folder, run) for run in index.runs])


def play_all(folder: Path, index: Index, play: Play, listener: Listener) -> Index:
    """Play every waiting run; return the index as it stands then, which is also on disk.

    A failed run is recorded and the next one played; a Ctrl-C ends the run and the sweep, and so
    does an index that can't be written.
    """
    for number, run in enumerate(index.runs):
        if run.state != "waiting":
            continue
        listener.begins(index, number)
        done, error = _played(run, folder / run.file, play)
        runs = [*index.runs[:number], done, *index.runs[number + 1 :]]
        index = msgspec.structs.replace(index, runs=runs)
        try:
            _keep(folder, index)
        except SpecprofError as trouble:
            hint = f"make room, then go on: specprof run --resume {folder}"
            raise SpecprofError(trouble.title, hint) from trouble
        finally:
            listener.ended(index, number, error)
        if done.state == "interrupted":
            break
    return index


def left_s(runs: Sequence[Run]) -> float | None:
    """Return the seconds the waiting runs should take; None while nothing is known.

    A cell takes what it took before; one that was never run, what those of its workload did.
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


def _played(run: Run, path: Path, play: Play) -> tuple[Run, Exception | None]:
    started = time.monotonic()
    ended = msgspec.structs.replace
    try:
        status = play(run.spec, path)
    except KeyboardInterrupt:  # outside the recording, which ends by itself
        return ended(run, state="interrupted"), None
    except SpecprofError as error:
        return ended(run, state="failed", trouble=error.title, exit_code=error.exit_code), error
    except Exception as error:  # noqa: BLE001 - one broken cell must not cost the others
        trouble = f"{type(error).__name__}: {error}"
        return ended(run, state="failed", trouble=trouble, exit_code=1), error
    if status != "complete":
        return ended(run, state="interrupted"), None
    return ended(run, state="complete", wall_s=time.monotonic() - started), None


def _standing(folder: Path, run: Run) -> Run:
    """Return the run as its capture says: complete, or waiting to be done (again)."""
    path = folder / run.file
    if run.state == "complete" and is_regular(path):
        return run
    try:  # killed after the capture's last line and before the index was written
        capture = read_capture(path)
        whole = capture.state == "complete" and not capture.damaged
    except CaptureUnreadable:
        whole = False
    return msgspec.structs.replace(
        run, state="complete" if whole else "waiting", trouble=None, exit_code=0
    )


def _refuse_others(path: Path, run: Run) -> None:
    """Refuse a file that is there and holds something else than this run's capture.

    An index may come from anywhere, and name a file of the user's own. A capture whose first line
    is torn is the run's as far as can be seen: a kill leaves that.
    """
    if writing.found(path) not in {"nothing", "file"}:
        title = f"{path} is where a run is recorded, and it is no regular file"
        raise UsageError(title, "move it away, or move the sweep to a folder of its own")
    if not is_regular(path) or not path.stat().st_size:
        return
    try:
        first = next(iter(CaptureReader(path).poll(PIECE)), None)
        with path.open("rb") as file:
            torn = first is None and file.read(len(BEGINNING)) == BEGINNING
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
    if all(each.name.startswith(writing.PRIVATE) for each in folder.iterdir()):
        return  # empty, but for what a kill may have left
    hint = "choose another -o, go on with --resume, or pass --force"
    if not (folder / INDEX).exists():
        raise UsageError(f"{folder} holds other files", "choose another -o")
    if not force:
        raise UsageError(f"{folder} holds a sweep already", hint)
    runs = read_index(folder).runs
    files = [folder / run.file for run in runs]
    for path, run in zip(files, runs, strict=True):
        refuse_recorded(path)
        _refuse_others(path, run)
    for path in files:
        path.unlink(missing_ok=True)


def _keep(folder: Path, index: Index) -> None:
    """Write the index whole: it is never half a file."""
    content = msgspec.json.format(as_json(index), indent=1)
    writing.write(folder / INDEX, content, overwrite=True)


def _slug(label: str) -> str:
    words = re.sub(r"[^a-z0-9.=]+", "-", label.lower()).strip("-.")[:LONGEST_NAME]
    return f"-{words}" if words else ""
