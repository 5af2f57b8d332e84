"""A sweep's order and index; stopping it loses and repeats nothing."""

import errno
import json
import os
from pathlib import Path

import msgspec
import pytest

import captures
from specprof import sweep
from specprof.errors import (
    INTERRUPTED,
    CaptureUnreadable,
    EnvironmentMissing,
    SpecprofError,
    UsageError,
)
from specprof.plan import expand
from specprof.settings import MOST_RUNS, Profile

PROFILE = Profile(name="k", sweep={"depth": [2, 4, 8]}, repeats=2)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "swept"


def begun(folder, profile=PROFILE):
    return sweep.begin(folder, profile, expand(profile), force=False)


def made_by(spec, **given):
    """Return a run's events, with `spec` in their header."""
    header, *rest = captures.events(**given)
    return [msgspec.structs.replace(header, spec=spec), *rest]


def recorded(log):
    """Return a play function that notes its runs and writes a whole capture of each."""

    def play(spec, path):
        log.append((spec.label, spec.repeat))
        captures.write(path, made_by(spec, depth=spec.settings.depth))
        return "complete"

    return play


def states(index):
    return [run.state for run in index.runs]


def test_the_cells_go_there_and_back():
    """A B C, C B A, A B C: linear drift affects all cells equally."""
    order = [(s.label, s.repeat) for s in sweep.order_runs(expand(PROFILE), 3)]
    first = ["K=2", "K=4", "K=8"]
    assert [label for label, _ in order] == [*first, *first[::-1], *first]
    assert [repeat for _, repeat in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_every_run_is_played_once_and_kept(folder):
    """The runs are in order, each in its own file, and all are complete in the index on disk."""
    log = []
    index = sweep.play_all(folder, begun(folder), recorded(log), sweep.Listener())
    assert [label for label, _ in log] == ["K=2", "K=4", "K=8", "K=8", "K=4", "K=2"]
    assert states(index) == ["complete"] * 6
    assert index.exit_code == 0
    assert sweep.read_index(folder) == index
    assert len({run.file for run in index.runs}) == 6
    assert all((folder / run.file).exists() for run in index.runs)


def test_a_failed_run_is_told_and_the_next_one_played(folder):
    """Its reason and exit code stay in the index; the others are complete."""
    log = []

    def play(spec, path):
        if spec.settings.depth == 4:
            raise EnvironmentMissing("no such model", "give another")
        return recorded(log)(spec, path)

    heard = []
    listener = sweep.Listener()
    listener.run_ended = lambda index, number, error: heard.append((number, type(error)))
    index = sweep.play_all(folder, begun(folder), play, listener)
    assert states(index) == ["complete", "failed", "complete"] * 2
    assert index.runs[1].trouble == "no such model"
    assert index.exit_code == EnvironmentMissing.exit_code
    assert heard[1] == (1, EnvironmentMissing)


def test_failures_of_different_kinds_are_a_failed_run(folder):
    """An unexpected error costs only its own run; if exit codes differ, the sweep's is 1."""

    def play(spec, path):
        raise EnvironmentMissing("a", "b") if spec.settings.depth == 4 else RuntimeError("odd")

    index = sweep.play_all(folder, begun(folder), play, sweep.Listener())
    assert states(index) == ["failed"] * 6
    assert index.runs[0].trouble == "RuntimeError: odd"
    assert index.exit_code == 1


@pytest.mark.parametrize("within", [True, False])
def test_a_stopped_sweep_goes_on_where_it_was(folder, within):
    """Finished captures are neither lost nor repeated; the unfinished one is done again."""
    log = []

    def play(spec, path):
        if len(log) < 2:
            return recorded(log)(spec, path)
        captures.write(path, made_by(spec)[:5])
        if within:
            return "interrupted"
        raise KeyboardInterrupt

    index = sweep.play_all(folder, begun(folder), play, sweep.Listener())
    assert states(index) == ["complete"] * 2 + ["interrupted"] + ["waiting"] * 3
    assert index.exit_code == INTERRUPTED
    before = [(folder / run.file).stat().st_mtime_ns for run in index.runs[:2]]
    again = sweep.resume_index(folder)
    assert states(again) == ["complete"] * 2 + ["waiting"] * 4
    done = sweep.play_all(folder, again, recorded(log), sweep.Listener())
    assert states(done) == ["complete"] * 6
    assert sorted(log) == sorted((f"K={k}", r) for k in (2, 4, 8) for r in (0, 1))
    assert [(folder / run.file).stat().st_mtime_ns for run in done.runs[:2]] == before


def test_a_kill_between_capture_and_index_repeats_nothing(folder):
    """A capture whose last line says complete is complete, whatever the index says."""
    index = begun(folder)
    first, second = index.runs[:2]
    captures.write(folder / first.file, made_by(first.spec))
    whole = captures.write(folder / second.file, made_by(second.spec)).read_bytes()
    (folder / second.file).write_bytes(whole[: len(whole) * 2 // 3])
    assert states(sweep.resume_index(folder))[:3] == ["complete", "waiting", "waiting"]


@pytest.mark.parametrize("kept", ["precious", '{"my": "precious"}\n', "another run", ""])
def test_a_file_that_is_not_the_runs_is_not_recorded_over(folder, kept):
    """An index may name a user's own file; an empty file belongs to no one."""
    index = begun(folder)
    path = folder / index.runs[0].file
    path.write_text(kept)
    if kept == "another run":
        captures.healthy(path)
    before = path.read_bytes()
    if not kept:
        assert states(sweep.resume_index(folder))[0] == "waiting"
        return
    with pytest.raises(UsageError, match="something else than the run"):
        sweep.resume_index(folder)
    with pytest.raises(UsageError, match="something else than the run"):
        sweep.begin(folder, PROFILE, expand(PROFILE), force=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_runs_place_that_is_no_file_is_refused_before_any_run(folder, make):
    """Else the run fails, and the table of all the others with it."""
    index = begun(folder)
    make(folder / index.runs[0].file)
    with pytest.raises(UsageError, match="is where a run is recorded, and it is no regular file"):
        sweep.resume_index(folder)


def test_a_first_line_that_a_kill_tore_is_the_runs(folder):
    """It is recorded again."""
    index = begun(folder)
    path = folder / index.runs[0].file
    path.write_bytes(captures.write(path, made_by(index.runs[0].spec)[:1]).read_bytes()[:50])
    assert states(sweep.resume_index(folder))[0] == "waiting"


@pytest.mark.parametrize(
    "changed",
    [{"stops": 10**9}, {"context": 0}, {"temperature": 1e-9}, {"max_new_tokens": 0}],
)
def test_an_index_whose_settings_no_run_can_have_is_none(folder, changed):
    """What is computed from them would never end, or divide by 0."""
    index = begun(folder)
    asked = index.runs[0].spec
    settings = msgspec.structs.replace(asked.settings)
    for field, value in changed.items():
        msgspec.structs.force_setattr(settings, field, value)
    run = msgspec.structs.replace(
        index.runs[0], spec=msgspec.structs.replace(asked, settings=settings)
    )
    sweep._write_index(folder, msgspec.structs.replace(index, runs=[run, *index.runs[1:]]))
    (field,) = changed
    with pytest.raises(CaptureUnreadable, match=f"{field}`? is .*it must be"):
        sweep.read_index(folder)


def test_a_capture_that_was_removed_is_made_again(folder):
    """The index alone is no proof of a capture."""
    index = sweep.play_all(folder, begun(folder), recorded([]), sweep.Listener())
    (folder / index.runs[0].file).unlink()
    assert states(sweep.resume_index(folder)) == ["waiting", *["complete"] * 5]


def test_failed_runs_are_tried_again_on_resuming(folder):
    """A missing model may exist by then."""

    def play(spec, path):
        raise EnvironmentMissing("no such model", "give another")

    sweep.play_all(folder, begun(folder), play, sweep.Listener())
    assert states(sweep.resume_index(folder)) == ["waiting"] * 6


def test_a_folder_with_other_files_is_refused(folder):
    """It is refused even with force, because files that are not the sweep's must stay."""
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="other files"):
        sweep.begin(folder, PROFILE, expand(PROFILE), force=True)


def test_a_sweep_is_overwritten_only_by_force(folder):
    """Its captures are removed, so that none passes for the new sweep's."""
    index = sweep.play_all(folder, begun(folder), recorded([]), sweep.Listener())
    with pytest.raises(UsageError, match="holds a sweep"):
        begun(folder)
    fresh = sweep.begin(folder, PROFILE, expand(PROFILE), force=True)
    assert not any((folder / run.file).exists() for run in index.runs)
    assert states(fresh) == ["waiting"] * 6


@pytest.mark.parametrize("file", ["../out.jsonl", "/out.jsonl", "a.txt", ".jsonl/.."])
def test_an_index_names_no_file_outside_its_folder(folder, file):
    """An index may come from a stranger, and resuming writes the files that it names."""
    index = begun(folder)
    runs = [msgspec.structs.replace(index.runs[0], file=file)]
    bad = msgspec.structs.replace(index, runs=runs)
    (folder / sweep.INDEX).write_bytes(msgspec.json.encode(bad))
    with pytest.raises(CaptureUnreadable, match="outside"):
        sweep.read_index(folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\xff", '{"schema": 3}'])
def test_what_is_no_index_is_refused(folder, text):
    """The error names the file."""
    folder.mkdir()
    (folder / sweep.INDEX).write_text(text, encoding="latin-1")
    with pytest.raises(CaptureUnreadable, match=r"sweep\.json"):
        sweep.read_index(folder)


def test_the_time_left_is_what_the_cells_took(folder):
    """It is a cell's own time if it ran before, else the mean of its workload."""
    runs = begun(folder).runs
    assert sweep.seconds_left(runs) is None

    def took(run, wall_s):
        return msgspec.structs.replace(run, state="complete", wall_s=wall_s)

    known = [took(runs[0], 10.0), took(runs[1], 20.0), *runs[2:]]
    # waiting: K=8 twice (unknown: the mean, 15), K=4 and K=2 once more
    assert sweep.seconds_left(known) == pytest.approx(15 + 15 + 20 + 10)


def test_a_label_makes_a_plain_file_name(folder):
    """The name is lower case, short, and stays in the folder."""
    profile = Profile(name="k", cell=[{"label": "../Größe: A/B " + "x" * 99}])
    (run,) = begun(folder, profile).runs
    assert run.file.startswith("01-gr-e-a-b-xxx")
    assert len(run.file) < 60


def test_a_sweep_is_played_by_one_process_at_a_time(folder):
    """A second one is refused while the first holds the folder, and let in after it."""
    begun(folder)
    with (
        sweep.hold_folder(folder),
        pytest.raises(UsageError, match="being written by another run"),
        sweep.hold_folder(folder),
    ):
        pass
    with sweep.hold_folder(folder):
        pass


def test_a_full_disk_ends_the_sweep_and_is_told(folder, monkeypatch):
    """The index on disk stays whole, and the error says how the run ended and what to do."""
    index, heard = begun(folder), []
    listener = sweep.Listener()
    listener.run_ended = lambda index, number, error: heard.append(index.runs[number].state)

    def full(_path, _bytes):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SpecprofError, match=r"sweep\.json: No space left") as raised:
        sweep.play_all(folder, index, recorded([]), listener)
    assert f"--resume {folder}" in raised.value.hint
    assert heard == ["complete"]
    assert sweep.read_index(folder) == index


def test_a_folder_that_could_not_be_begun_is_left_empty(folder, monkeypatch):
    """No half-written index stays, which could pass for a user's file."""
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(SpecprofError, match="full"):
        begun(folder)
    assert list(folder.iterdir()) == []


def test_a_damaged_capture_is_made_again(folder):
    """Lines that two writers mixed are no complete run, whatever the last line says."""
    index = begun(folder)
    path = folder / index.runs[0].file
    captures.write(path, made_by(index.runs[0].spec))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{half\n", *lines[3:]]))
    assert states(sweep.resume_index(folder))[0] == "waiting"


def test_a_time_that_no_run_can_take_is_no_index(tmp_path):
    """The time left would add up to infinity."""
    index = sweep.begin(tmp_path, PROFILE, expand(PROFILE), force=False)
    late = msgspec.structs.replace(index.runs[0], wall_s=1e308)
    sweep._write_index(tmp_path, msgspec.structs.replace(index, runs=[late]))
    with pytest.raises(CaptureUnreadable, match="wall_s"):
        sweep.read_index(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exit_code": 10**30}, r"`runs\[1\].exit_code` is 1000000.*from 0 to 255"),
        ({"exit_code": -1}, "from 0 to 255"),
        ({"spec": {"repeat": -1}}, "`runs.1..spec.repeat` is -1; .* from 0 to 10,000"),
        ({"spec": {"repeat": 2**70}}, "from 0 to 10,000"),
        ({"file": None}, "names a file twice"),
    ],
)
def test_an_index_out_of_bounds_is_refused(folder, change, told):
    """It has a number that no sweep has, or two runs with one file."""
    begun(folder)
    index = json.loads((folder / sweep.INDEX).read_bytes())
    run = index["runs"][1]
    run["spec"] |= change.pop("spec", {})
    run |= {"file": index["runs"][0]["file"]} if "file" in change else change
    (folder / sweep.INDEX).write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(CaptureUnreadable, match=told):
        sweep.read_index(folder)


def test_an_index_of_more_runs_than_anybody_makes_is_refused(folder):
    """The bound is the plan's own."""
    begun(folder)
    index = json.loads((folder / sweep.INDEX).read_bytes())
    one = index["runs"][0]
    index["runs"] = [one | {"file": f"{i}.jsonl"} for i in range(MOST_RUNS + 1)]
    (folder / sweep.INDEX).write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(CaptureUnreadable, match=r"`runs` is .*at most 10,000 entries"):
        sweep.read_index(folder)
