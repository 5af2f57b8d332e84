"""``specprof --help``: what a user meets first."""

import pkgutil
import subprocess
import sys

import pytest

from specprof import __version__, cli

COMMANDS = [
    each.name for each in pkgutil.iter_modules(cli.__path__) if not each.name.startswith("_")
]


def specprof(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specprof", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_every_file_is_a_command():
    """Each file of the cli folder is listed by its name."""
    told = specprof("--help").stdout
    assert COMMANDS
    for name in COMMANDS:
        assert f"\n  {name} " in told


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
