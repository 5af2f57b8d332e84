"""``specprof drill``, as a user runs it."""

import json

from typer.testing import CliRunner

from specprof.backends._tables import FAULTS
from specprof.capture import read_capture
from specprof.cli import app
from specprof.errors import UnknownName, UsageError


def drill(*arguments):
    return CliRunner().invoke(app, ["drill", *map(str, arguments)])


def test_without_a_name_all_drills_are_listed():
    """Under what they are."""
    lines = drill().stdout.splitlines()
    headings = [line for line in lines if not line.startswith(" ")]
    assert [heading.partition(" ")[0] for heading in headings] == ["faults", "controls,", "faults"]
    assert {"  kv/draft-rollback-over-trim", *(f"  {each}" for each in FAULTS)} <= set(lines)


def test_a_fault_is_injected_and_named():
    """The report's title says what was broken, its sentence what was found."""
    title, sentence, *_ = drill("no-bonus").stdout.splitlines()
    assert title == "drill no-bonus"
    assert "the bonus token is missing" in sentence


def test_the_healthy_engine_is_accused_of_nothing():
    """`none` is a drill as well."""
    ended = drill("none", "--json")
    outcomes = json.loads(ended.stdout)["diagnoses"][0]["verdicts"]
    assert not [each for each in outcomes if (each["family"], each["outcome"]) == ("bug", "found")]
    assert "accused of no bug, as it should be" in ended.stderr


def test_a_real_engine_is_broken_and_the_verdict_told():
    """On stderr: stdout is the report alone."""
    small = ("--set", "stops=2", "--set", "context=200", "--set", "max_new_tokens=24")
    ended = drill("accept/always-accept", *small)
    assert ended.exit_code == 0
    assert ended.stderr.endswith("accept/always-accept was injected: named correctly\n")
    assert "was injected" not in ended.stdout


def test_the_matrix_is_printed_and_written(tmp_path):
    """One line a drill with its count, and the same as a document."""
    small = ("--set", "stops=2", "--set", "context=200", "--set", "max_new_tokens=24")
    path = tmp_path / "matrix.json"
    ended = drill("--all", "--only", "accept/always", "-o", path, *small)
    assert ended.stdout.startswith("accept/always-accept  1/1  accept-rule-unfair")
    assert json.loads(path.read_bytes())["score"]["faults_named"] == 1


def test_the_capture_can_be_kept(tmp_path):
    """Complete, and never over another file."""
    path = tmp_path / "kept.jsonl"
    assert drill("no-bonus", "-o", path).exit_code == 0
    assert read_capture(path).state == "complete"
    assert isinstance(drill("no-bonus", "-o", path).exception, UsageError)


def test_an_unknown_fault_is_refused():
    """The known ones are listed, nearest first."""
    assert isinstance(drill("no-bonuses").exception, UnknownName)


def test_a_setting_is_checked():
    """Its name, and that it says something."""
    assert isinstance(drill("none", "--set", "temprature=1").exception, UnknownName)
    assert isinstance(drill("none", "--set", "temperature").exception, UsageError)


def test_a_capture_that_exists_is_kept_unless_told(tmp_path):
    """As `run` has it, and a matrix likewise, before anything is played."""
    path = tmp_path / "kept.jsonl"
    path.write_text("precious")
    for arguments in (["no-bonus"], ["--all", "--only", "no-bonus"]):
        ended = drill(*arguments, "-o", path)
        assert isinstance(ended.exception, UsageError)
        assert "--force" in ended.exception.hint
        assert path.read_text() == "precious"
    assert drill("no-bonus", "-o", path, "--force").exit_code == 0
    assert read_capture(path).state == "complete"
    ended = drill("--all", "--only", "no-bonus", "-o", tmp_path / "nowhere" / "matrix.json")
    assert "no such folder" in ended.exception.title


def test_probes_take_no_negative_time():
    """Refused like any option out of range."""
    assert drill("no-bonus", "--probe", "-3").exit_code == 2
