"""Progress on stderr: lines that a log can keep, and the time left once it can be estimated."""

import msgspec
import pytest

import captures
from specprof import progress, sweep
from specprof.errors import EnvironmentMissing
from specprof.plan import expand
from specprof.progress import Progress, SweepProgress
from specprof.records import Round
from specprof.settings import Profile, RunSpec, Settings

PROFILE = Profile(name="k", sweep={"depth": [2, 4]}, repeats=2)


@pytest.fixture
def index(tmp_path):
    return sweep.begin(tmp_path / "swept", PROFILE, expand(PROFILE), force=False)


def test_a_label_of_a_megabyte_is_shortened(index, capsys):
    """An index may come from anywhere."""
    spec = msgspec.structs.replace(index.runs[0].spec, label="\x1b" * 10**6)
    runs = [msgspec.structs.replace(index.runs[0], spec=spec), *index.runs[1:]]
    SweepProgress().run_begins(msgspec.structs.replace(index, runs=runs), 0)
    assert len(capsys.readouterr().err) < 1000


def test_a_run_says_what_it_counted(capsys):
    """It prints rounds, tokens and tau with its denominator, from the events alone."""
    spec = RunSpec(id="x", profile="test", settings=Settings(context=6000), label="K=4")
    told = Progress(spec)
    made = captures.events()
    for event in made:
        told.hear(event)
    told.report()
    opening, *_, last = capsys.readouterr().err.splitlines()
    rounds = [event for event in made if isinstance(event, Round)]
    emitted = sum(len(one.emitted) for one in rounds)
    assert opening.endswith("test: pocket/target with pocket/draft K=4")
    assert f"{len(rounds)} rounds, {emitted} tokens, tau {emitted / len(rounds):.2f}" in last


def test_how_forwards_are_computed_is_said(capsys):
    """Equal models share a line, which says why not flat and why not replayed; peers have none."""
    replace = msgspec.structs.replace
    header = captures.events()[0]
    flat = {"path": "flat", "graphs": True}
    target = replace(header.target, name="big", **flat)
    alike = replace(header, target=target, draft=replace(header.draft, name="small", **flat))
    by = {
        "path": "modules",
        "path_reason": "no RoPE",
        "graphs": False,
        "graphs_reason": "it slides",
    }
    apart = replace(alike, draft=replace(alike.draft, **by))
    for heard in (header, alike, apart):
        Progress(RunSpec(id="x", profile="test", settings=Settings())).hear(heard)
    said = [line for line in capsys.readouterr().err.splitlines() if "forwards" in line]
    assert [line.partition("] ")[2] for line in said] == [
        "forwards of big, small: flat replayed",
        "forwards of big: flat replayed",
        "forwards of small: modules; not flat: no RoPE; not replayed: it slides",
    ]


def test_a_run_of_a_sweep_leaves_the_opening_to_the_sweep(capsys):
    """Its own lines are rare."""
    told = Progress(RunSpec(id="x", profile="test", settings=Settings()), every_s=60.0)
    for event in captures.events():
        told.hear(event)
    assert capsys.readouterr().err == ""


def test_a_sweep_says_which_run_and_what_is_left(index, capsys):
    """The time left appears once a run has shown how long it takes."""
    told = SweepProgress()
    told.run_begins(index, 0)
    done = msgspec.structs.replace(index.runs[0], state="complete", wall_s=100.0)
    index = msgspec.structs.replace(index, runs=[done, *index.runs[1:]])
    told.run_ended(index, 0, None)
    told.run_begins(index, 1)
    first, ended, second = capsys.readouterr().err.splitlines()
    assert first.endswith("run 1 of 4: K=2, repeat 1 of 2")
    assert "complete after" in ended
    assert second.endswith("run 2 of 4: K=4, repeat 1 of 2; about 5:00 left")


@pytest.mark.parametrize(
    ("error", "told"),
    [(EnvironmentMissing("gone", "get it"), "get it"), (KeyError("x"), "KeyError")],
)
def test_a_failure_is_told_with_its_remedy_or_its_place(index, capsys, error, told):
    """An expected error has a hint, an unexpected one a traceback."""
    run = msgspec.structs.replace(index.runs[0], state="failed", trouble="gone")
    index = msgspec.structs.replace(index, runs=[run, *index.runs[1:]])
    SweepProgress().run_ended(index, 0, error)
    said = capsys.readouterr().err
    assert "failed after" in said
    assert ": gone" in said
    assert told in said


@pytest.mark.parametrize(("seconds", "told"), [(7.4, "0:07"), (61, "1:01"), (3725, "1:02:05")])
def test_a_time_reads_like_a_clock(seconds, told):
    """Hours appear only if there are any."""
    assert progress._format_clock(seconds) == told
