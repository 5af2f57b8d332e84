"""The README tells the truth: its commands, codes, names, tree and floors are the code's."""

import re
import tomllib
from pathlib import Path

import pytest

import proofs
from specprof import cli, errors, glossary
from specprof.cli import app
from specprof.errors import SpecprofError
from specprof.plan import profiles

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOUSE = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
COMMANDS = {each.name or each.callback.__name__ for each in app.registered_commands}


def table(header: str, page: str = README) -> list[list[str]]:
    """Return the cells of the page's table whose header line starts so."""
    _, _, rest = page.partition(f"\n| {header} |")
    lines = rest.split("\n\n")[0].splitlines()[2:]
    assert lines, header
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_command_is_in_the_table():
    """And the table has no command that isn't there."""
    assert {row[0].strip("`") for row in table("command")} == COMMANDS
    assert len(COMMANDS) == len(list(Path(cli.__file__).parent.glob("[!_]*.py")))


def test_every_exit_code_is_in_the_table():
    """0, every error's, and that of a Ctrl-C."""
    kinds = [
        k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, SpecprofError)
    ]
    codes = {0, errors.INTERRUPTED, *(kind.exit_code for kind in kinds)}
    assert {int(row[0]) for row in table("code")} == codes


def test_every_metric_is_explained():
    """What the README names, `specprof explain` knows."""
    assert {row[0].strip("`") for row in table("name")} <= set(glossary.METRICS)


def test_the_table_of_proofs_is_what_is_proven():
    """Row by row as `python tests/support/proofs.py` prints it."""
    assert proofs.table() in README


def test_every_profile_is_told():
    """The shipped profiles, no more and no less."""
    assert {row[0].strip("`") for row in table("profile")} == set(profiles())


def test_the_tree_is_the_tree():
    """Every file and folder drawn is there, and every module of the package is drawn."""
    drawn = re.search(r"```\nspecprof/\n(.*?)```", HOUSE, re.DOTALL)[1]
    inside = {line.split()[0].rstrip("/") for line in drawn.splitlines() if line.startswith("  ")}
    beside = {line.split()[0] for line in drawn.splitlines() if not line.startswith(" ")}
    package = {
        path.name
        for path in (ROOT / "specprof").iterdir()
        if path.name not in ("__init__.py", "__main__.py", "__pycache__")
    }
    assert inside == package
    assert all((ROOT / folder).is_dir() for folder in beside)


def test_the_floors_are_the_contracts():
    """The table's floors are the layers that import-linter holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    told: dict[int, set[str]] = {}
    for row in table("floor", HOUSE):
        told.setdefault(int(row[0]), set()).update(re.findall(r"`(\w+)`", row[1]))
    assert [told[floor] for floor in sorted(told, reverse=True)] == [
        set(layer.replace(":", " ").split()) for layer in layers
    ]


@pytest.mark.parametrize("mark", ["run", "test"])
def test_a_marked_command_is_one_line(mark):
    """What .ci/run and a reader copy is a single line: no CUDA, and what is locked, builder too."""
    block = rf"^<!-- {mark} -->\n```sh\n(.*?)\n```"
    (command,) = re.findall(block, README, re.MULTILINE | re.DOTALL)
    assert "\n" not in command
    assert "--no-deps --index-url https://download.pytorch.org/whl/cpu torch==" in command
    assert " PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock " in command


def test_one_torch_is_named_everywhere():
    """The scripts take the version from the README's first mention."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(set(re.findall(r"torch==([\d.]+)", README + contributing))) == 1


def test_no_path_of_a_machine_is_committed():
    """Nothing that is read first leads outside the repository or to a private place."""
    for name in ("README.md", "CONTRIBUTING.md", "requirements.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"(^|[\s(`])/(home|root|work|tmp|opt)/", text)
