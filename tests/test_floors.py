"""The floors: what may import what, by the graph, and by what is really loaded."""

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from captures import healthy

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "textual", "numpy", "scipy")
LOADED = (
    "import atexit, json, sys\n"
    "atexit.register(lambda: sys.stderr.write('LOADED' + json.dumps(sorted(sys.modules))))\n"
    "from specprof.cli import main\n"
    "sys.argv = ['specprof', *sys.argv[1:]]\n"
    "main()\n"
)
LIGHT = [["--help"], ["--version"], ["list"], ["list", "--json"], ["explain"], ["explain", "tau"]]


def loaded(*arguments: str) -> set[str]:
    """Return the top-level modules that a command has loaded when it ends."""
    command = [sys.executable, "-c", LOADED, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    modules = json.loads(ended.stderr.rpartition("LOADED")[2])
    return {name.partition(".")[0] for name in modules}


def test_the_import_contracts_are_kept():
    """import-linter finds no floor importing a higher one, nor torch or textual out of place."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    ended = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_a_light_command_loads_nothing_heavy(arguments):
    """Help, list and explain answer without torch, textual, numpy or scipy."""
    assert not loaded(*arguments) & set(HEAVY)


@pytest.mark.parametrize("command", ["view", "diagnose"])
def test_reading_a_capture_never_loads_torch(tmp_path, command):
    """A viewer takes no cores and no memory from the run it follows."""
    found = loaded(command, str(healthy(tmp_path / "run.jsonl")))
    assert "numpy" in found
    assert not found & {"torch", "transformers"}


@pytest.mark.parametrize("format_", ["speedscope", "json", "sqlite"])
def test_exporting_never_loads_torch(tmp_path, format_):
    """Exports are made from the capture alone, on any machine."""
    found = loaded("export", format_, str(healthy(tmp_path / "run.jsonl")))
    assert not found & {"torch", "transformers", "textual"}


@pytest.mark.parametrize("module", ["specprof.tui.app", "specprof.diagnosis.diagnose"])
def test_screens_and_rules_load_without_torch(module):
    """Importing them loads nothing of the engine."""
    code = f"import sys, {module}; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["explain", "tau"]], ids=" ".join)
def test_a_light_command_answers_in_under_a_third_of_a_second(arguments):
    """Median of five, in processor time: on an idle machine that is the time a user waits.

    Where a bare interpreter takes long, the machine is slow and the bound grows with it.
    """
    bare = _seconds(sys.executable, "-c", "pass")
    bound = 0.3 * max(1.0, bare / 0.03)
    assert _seconds(sys.executable, "-m", "specprof", *arguments) < bound


def _seconds(*command: str) -> float:
    """Return the median processor time of five runs after one that warms the file cache."""
    times = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times[1:])
