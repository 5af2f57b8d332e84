"""``specprof drill``, as a user runs it."""

import json

from typer.testing import CliRunner

from specprof.backends._tables import FAULTS
from specprof.capture import read_capture
from specprof.cli import app
from specprof.errors import UnknownName, UsageError


def drill(*arguments):
    return CliRunner().invoke(app, ["drill", *map(str, arguments)])


def test_without_a_name_the_faults_are_listed():
    """One a line."""
    assert drill().stdout.split() == list(FAULTS)


def test_a_fault_is_injected_and_named():
    """The report's title says what was broken, its sentence what was found."""
    title, sentence, *_ = drill("no-bonus").stdout.splitlines()
    assert title == "drill no-bonus"
    assert "the bonus token is missing" in sentence


def test_the_healthy_engine_is_accused_of_nothing():
    """`none` is a drill as well."""
    document = json.loads(drill("none", "--json").stdout)
    outcomes = document["diagnoses"][0]["verdicts"]
    assert not [each for each in outcomes if (each["family"], each["outcome"]) == ("bug", "found")]


def test_the_capture_can_be_kept(tmp_path):
    """Complete, and never over another file."""
    path = tmp_path / "kept.jsonl"
    assert drill("no-bonus", "-o", path).exit_code == 0
    assert read_capture(path).state == "complete"
    assert isinstance(drill("no-bonus", "-o", path).exception, UsageError)


def test_an_unknown_fault_is_refused():
    """The known ones are listed, nearest first."""
    assert isinstance(drill("no-bonuses").exception, UnknownName)
