"""``specprof list``, as a user runs it."""

import json
import subprocess
import sys

import pytest

from specprof import plan, registry
from specprof.decision_table import NAMES
from specprof.settings import Settings


def specprof(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specprof", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_everything_is_listed_by_kind():
    """Every member of every kind and every profile, each with its line."""
    told = specprof("list").stdout
    for kind in registry.FOLDERS:
        for member in registry.members(kind).values():
            assert f"  {member.name} " in told
            assert member.summary in told
    for name in plan.profiles():
        assert f"  {name} " in told


def test_one_kind_can_be_asked_for():
    """Only its members; a shipped plugin is marked as one."""
    told = specprof("list", "exporter").stdout
    assert told.splitlines()[0] == "exporter"
    marked = [line.split()[0] for line in told.splitlines() if line.endswith("[plugin, shipped]")]
    assert marked == ["sqlite"]
    assert "backend" not in told


@pytest.mark.parametrize("kind", ["rule", "probe"])
def test_judges_are_listed_in_the_order_in_which_they_lead(kind):
    """As the decision table has them, in text and in JSON."""
    expected = [name for name in NAMES if name in registry.members(kind)]
    assert [line.split()[0] for line in specprof("list", kind).stdout.splitlines()[1:]] == expected
    document = json.loads(specprof("list", kind, "--json").stdout)
    assert [each["name"] for each in document["members"]] == expected


def test_settings_are_listed_with_what_they_mean():
    """All that `--set` takes, each on one line."""
    told = specprof("list", "setting").stdout.splitlines()
    assert [line.split()[0] for line in told[1:]] == list(Settings.__struct_fields__)
    assert all(len(line.split()) > 2 and line.endswith(".") for line in told[1:])


def test_json_is_one_document():
    """A script reads kind, name, summary and the file each comes from."""
    document = json.loads(specprof("list", "--json").stdout)
    assert document["schema"] == "specprof.list/1"
    names = {(row["kind"], row["name"]) for row in document["members"]}
    assert {("exporter", "chrome"), ("profile", "default"), ("drafter", "none")} <= names
    assert all(row["summary"] and row["from"] for row in document["members"])


def test_a_kind_that_isn_t_one_is_refused():
    """The known kinds are listed, nearest first, exit code 2."""
    ended = specprof("list", "exporters")
    assert ended.returncode == 2
    assert "known: exporter," in ended.stderr


@pytest.mark.parametrize("name", ["default", "smoke"])
def test_shipped_profiles_expand(name):
    """The shipped profiles are valid and give at least one run."""
    profile = plan.read_profile(name)
    assert profile.about
    assert plan.expand(profile)
