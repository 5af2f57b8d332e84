"""Runs killed at a moment, in the reduced form; and whether what they leave is really looked at."""

import json
import sys
from pathlib import Path

import pytest

import captures

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import kills  # noqa: E402 - scripts, found where the line above says
from killed import left, trials  # noqa: E402
from killed.left import Problems, check_capture, check_sweep, read_state  # noqa: E402
from killed.trials import KINDS, ONCE_MORE, Trial, play  # noqa: E402
from result_folder import result_folder  # noqa: E402


@pytest.mark.parametrize(("kind", "at_s"), [("run", 1.4), ("sweep", 1.8), ("recorder alone", 2.0)])
def test_a_killed_run_can_be_gone_on_with(kind, at_s, tmp_path):
    """What it recorded is read, and a second run of the name works."""
    room = tmp_path / "room"
    trial = Trial(kind=kind, number=0, recording=False, at_s=at_s, room=room, made_up=True)
    outcome = play(trial)
    assert outcome.problems == []
    assert (outcome.kind, outcome.at_s) == (kind, at_s)


def test_a_run_is_killed_while_it_records(tmp_path):
    """Its time counts from its first line, so that line is always there, and the end is not."""
    room = tmp_path / "room"
    trial = Trial(kind="run", number=1, recording=True, at_s=0.0, room=room, made_up=True)
    outcome = play(trial)
    assert outcome.problems == []
    assert (outcome.recording, outcome.left) == (True, "INCOMPLETE")


def test_a_run_killed_before_its_first_line_leaves_nothing_in_the_way(tmp_path):
    """An empty file, or none, is recorded into without --force."""
    problems, path = Problems(), tmp_path / "run.jsonl"
    path.write_bytes(b"")
    assert check_capture(path, ONCE_MORE, problems) == ("no line", False)
    assert problems.found == []


@pytest.fixture
def nothing_is_run(monkeypatch):
    """Have every command end well, and do nothing."""
    commands = []

    class Done:
        returncode, stderr = 0, ""

    def run(*arguments):
        commands.append(arguments)
        return Done()

    monkeypatch.setattr(left, "run_specprof", run)
    return commands


def killed(path, kept=0.6, torn=b""):
    lines = captures.healthy(path).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: int(kept * len(lines))]) + torn)
    return path


@pytest.mark.parametrize(
    ("torn", "state"), [(b"", ("INCOMPLETE", False)), (b'{"event":"ro', ("INCOMPLETE", True))]
)
def test_a_killed_capture_is_incomplete(torn, state, tmp_path):
    """With at most one torn line."""
    problems = Problems()
    assert read_state(killed(tmp_path / "a.jsonl", torn=torn), problems) == state
    assert problems.found == []


def test_a_damaged_line_is_a_problem(tmp_path):
    """A kill tears the last line, and none before it."""
    problems = Problems()
    read_state(killed(tmp_path / "a.jsonl", torn=b"{}\n"), problems)
    assert any("damaged lines" in each for each in problems.found)
    assert any("whole lines" in each for each in problems.found)


def test_a_recorder_that_was_spared_must_close_its_capture(tmp_path, nothing_is_run):
    """It lives on when its dashboard is killed, and can."""
    problems = Problems()
    check_capture(killed(tmp_path / "a.jsonl"), ["run"], problems, closed=True)
    assert "the recorder did not close its capture" in problems.found


def test_commands_that_fail_are_problems(tmp_path, nothing_is_run):
    """A run recorded over what was there (here: without a word), and did not complete."""
    problems, path = Problems(), killed(tmp_path / "a.jsonl")
    check_capture(path, ["run"], problems)
    assert [command[0] for command in nothing_is_run] == ["diagnose", "run", "run"]
    assert any("recorded over, exit code 0" in each for each in problems.found)
    assert "the second run is not complete" in problems.found


def test_a_sweep_that_is_not_completed_is_a_problem(tmp_path, nothing_is_run):
    """Each of its runs, by name; and what lies in its folder that is none of them."""
    from specprof import sweep
    from specprof.plan import expand
    from specprof.settings import Profile

    profile = Profile(name="small", sweep={"depth": [1, 2]})
    index = sweep.begin(tmp_path / "sweep", profile, expand(profile), force=False)
    captures.healthy(tmp_path / "sweep" / index.runs[0].file)
    (tmp_path / "sweep" / "stray.txt").write_text("", encoding="utf-8")
    problems = Problems()
    assert check_sweep(tmp_path / "sweep", ["run"], problems) == "1 of 2 complete"
    assert any("stray.txt" in each for each in problems.found)
    assert any(index.runs[1].file in each and "nothing" in each for each in problems.found)
    assert nothing_is_run == [("run", "--resume", tmp_path / "sweep")]


def test_the_command_counts_and_writes(tmp_path, monkeypatch, capsys):
    """Every kind; exit code 1 where something was wrong."""
    monkeypatch.setattr(kills, "measure_durations_s", lambda *_, **__: (2.0, 1.0))

    def outcome(trial):
        wrong = ["odd"] if (trial.kind, trial.number) == ("drill", 0) else []
        when = trial.recording, trial.at_s
        return trials.Outcome(trial.kind, trial.number, *when, "INCOMPLETE", True, wrong)

    monkeypatch.setattr(kills, "play", outcome)
    asked = ["--kills", "7", f"--into={tmp_path}"]
    assert kills.main(asked) == 1
    told = json.loads((tmp_path / "kills.json").read_text(encoding="utf-8"))
    assert told["kills"] == 7 + 1 + 1
    assert told["wrong"] == 1
    assert {each["kind"] for each in told["trials"]} == set(KINDS)
    moments = [each["at_s"] for each in told["trials"]]
    assert all(0 <= each["at_s"] <= (1 if each["recording"] else 2) for each in told["trials"])
    assert sum(each["recording"] for each in told["trials"]) == 3
    printed = capsys.readouterr().out
    assert "drill, at any moment: 1 kills, 1 wrong" in printed
    assert "drill, while recording: 1 kills, 0 wrong" in printed
    kills.main(asked)
    again = json.loads((tmp_path / "kills.json").read_text(encoding="utf-8"))
    assert [each["at_s"] for each in again["trials"]] == moments


def test_the_folder_for_the_results_is_made_before_anything_is_killed(tmp_path, monkeypatch):
    """A folder that can't be made is refused while nothing is lost by it."""
    monkeypatch.setattr(
        kills, "measure_durations_s", lambda *_, **__: pytest.fail("something was run")
    )
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemExit):
        kills.main([f"--into={tmp_path / 'file' / 'folder'}"])
    made = tmp_path / "new" / "folder"
    assert result_folder(str(made)) == made
    assert made.is_dir()


def test_a_hundred_kills_are_shared_out():
    """Over runs, sweeps and drills; one process alone is killed in ten of each beside them."""
    shares = kills.count_kills(100)
    assert (
        sum(count for kind, count in shares.items() if kind not in kills.SINGLE_PROCESS_KINDS)
        == 100
    )
    assert {shares[kind] for kind in kills.SINGLE_PROCESS_KINDS} == {10}
