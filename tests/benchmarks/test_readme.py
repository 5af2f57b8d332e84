"""The page of measurements: every script has its row, every name is a file, rows can be read."""

import ast
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAGE = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
RESULTS = BENCHMARKS / "results"
NONE = "no committed result"
WIDEST_CELL = 100
"""Characters; a cell of file names or of a command may be longer."""
IN_SDIST = (BENCHMARKS.parent / "PKG-INFO").exists()
"""An sdist leaves out most result files."""


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def scripts():
    """Return the row of every script: its name -> what it measures and its results."""
    _, _, rest = PAGE.partition("\n| script |")
    rows = map(cells, rest.split("\n\n")[0].splitlines()[2:])
    return {row[0].strip("`"): row[1:] for row in rows}


def runnable(source):
    """Return whether a file has code that runs only when it is started as a script."""
    tests = [each.test for each in ast.parse(source).body if isinstance(each, ast.If)]
    return any("__name__" in ast.unparse(test) for test in tests)


def test_every_script_has_a_row():
    """Every file that can be run, and no other."""
    there = {path.name for path in BENCHMARKS.glob("*.py") if runnable(path.read_text())}
    assert set(scripts()) == there


def test_a_script_is_known_by_its_last_lines():
    """A module that is only imported needs no row."""
    assert runnable("if __name__ == '__main__':\n    main()\n")
    assert not runnable("if big:\n    name = '__main__'\n")


@pytest.mark.skipif(IN_SDIST, reason="an sdist leaves out most result files")
def test_every_result_is_named_by_its_script():
    """Each committed file in one row at least; each name is a committed file."""
    named = set()
    for measures, result in scripts().values():
        found = re.findall(r"`([\w.-]+)`", result)
        assert found or result == NONE, measures
        named.update(found)
    drift = {path.name for path in RESULTS.glob("drift-*.txt")}  # the maintainers' own
    assert named == {path.name for path in RESULTS.iterdir()} - drift


@pytest.mark.skipif(IN_SDIST, reason="an sdist leaves out most result files")
def test_every_name_in_the_text_is_a_file():
    """Scripts in commands, and results beside them, wherever they are named."""
    for name in re.findall(r"python benchmarks/([\w/]+\.py)", PAGE):
        assert (BENCHMARKS / name).is_file(), name
    for name in re.findall(r"`([\w-]+\.(?:json|txt|svg))`", PAGE):
        assert (RESULTS / name).is_file(), name


def test_every_table_of_figures_has_a_command_and_a_result():
    """In its own rows, or in the lines of its section above it."""
    sections = [each for each in PAGE.split("\n## ")[1:] if "|---" in each]
    figures = [each for each in sections if not each.startswith("The scripts")]
    assert len(figures) > 5
    for section in figures:
        assert re.search(r"`python benchmarks/\w+\.py", section), section
        assert re.search(r"`[\w-]+\.(json|txt)`", section), section


def test_a_row_can_be_taken_in():
    """No cell of prose or figures is longer than a line."""
    prose = re.sub(r"`[^`]*`", "", PAGE)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    assert [cell for row in rows for cell in cells(row) if len(cell) > WIDEST_CELL] == []
