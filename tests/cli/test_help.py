"""``specprof --help``: what a user meets first."""

import os
import pkgutil
import shlex
import subprocess
import sys

import pytest

from specprof import __version__, catalogue, cli, glossary, registry

COMMANDS = [
    each.name for each in pkgutil.iter_modules(cli.__path__) if not each.name.startswith("_")
]


def specprof(*arguments, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specprof", *arguments]
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, check=False, text=True, env=env)


def test_every_file_is_a_command():
    """Each file of the cli folder is listed by its name."""
    told = specprof("--help").stdout
    assert COMMANDS
    for name in COMMANDS:
        assert f"\n  {name} " in told


def test_help_opens_with_a_table_of_wishes():
    """Line by line as it is written, in two columns, before the options, within 80 columns."""
    told = specprof("--help", COLUMNS="80").stdout
    assert max(map(len, told.splitlines())) <= 80
    opening = told.partition("\nOptions:")[0].splitlines()
    start = next(at for at, line in enumerate(opening) if line.startswith("  You want to "))
    right = opening[start].index("Type")
    rows = [(line[:right].strip(), line[right:]) for line in opening[start + 1 :] if line]
    assert rows == [(wish, f"specprof {line}") for wish, line in cli.WISHES]


def test_every_command_serves_a_wish():
    """None is there that the table doesn't lead to, nor the other way round."""
    assert {line.split()[0] for _, line in cli.WISHES} == set(COMMANDS)


@pytest.mark.parametrize("line", [line for _, line in cli.WISHES])
def test_what_the_table_says_can_be_typed(line):
    """Options are the command's own; cases, metrics and exporters are known."""
    command, *rest = shlex.split(line)
    told = specprof(command, "--help").stdout
    assert [each for each in rest if each.startswith("--") and f" {each} " not in told] == []
    match command:
        case "explain":
            assert rest[0] in glossary.METRICS
        case "drill":
            assert rest[0] in catalogue.cases()
        case "export":
            assert rest[0] in registry.members("exporter")


def test_no_command_is_cut_short_in_the_list():
    """Each has a sentence that fits beside its name."""
    told = specprof("--help", COLUMNS="80").stdout.partition("\nCommands:\n")[2]
    assert [line for line in told.splitlines() if not line.endswith(".") or "..." in line] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    """A sentence and its options, on stdout, exit code 0."""
    told = specprof(command, "--help")
    assert told.returncode == 0
    assert told.stderr == ""
    assert f"specprof {command}" in told.stdout
    assert any(line.strip().endswith((".", "...")) for line in told.stdout.splitlines()[1:6])


def test_the_version_can_be_asked():
    """One line."""
    assert specprof("--version").stdout == f"specprof {__version__}\n"


def test_an_unknown_command_is_a_usage_error():
    """Exit code 2, nothing on stdout."""
    ended = specprof("prfile")
    assert (ended.returncode, ended.stdout) == (2, "")
