"""``specprof explain``, as a user runs it."""

import subprocess
import sys

import pytest

from specprof import registry
from specprof.glossary import METRICS


def specprof(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specprof", "explain", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_everything_is_listed_with_a_line():
    """Every rule, every metric."""
    told = specprof().stdout
    for name in [*registry.members("rule"), *METRICS]:
        assert f"\n  {name} " in told


@pytest.mark.parametrize("name", ["cache-length-wrong", "too-few-rounds"])
def test_a_rule_is_explained_by_its_docstring(name):
    """Whole, as it stands in its file."""
    told = specprof(name).stdout
    assert told == f"{name}: {registry.member('rule', name).docstring}\n"
    assert "Does not see" in told


def test_a_metric_is_explained_with_its_denominator():
    """Never a bare acceptance rate."""
    assert specprof("alpha_cond").stdout.startswith("alpha_cond: accepted / reached.")


def test_an_unknown_name_lists_the_known_ones_nearest_first():
    """Exit code 2, nothing on stdout."""
    ended = specprof("accept_fraction")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "known: accept_frac," in ended.stderr


def test_explaining_loads_no_heavy_package():
    """It starts in a moment: names come from files, not from imports."""
    code = (
        "import sys; sys.argv = ['specprof', 'explain', 'state-drifts']\n"
        "from specprof.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'torch', 'textual'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr); sys.exit(bool(heavy))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
