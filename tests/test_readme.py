"""The README and the pages of docs/ are right: commands, codes, names, members and links."""

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
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
LONGEST = 12_000
"""Bytes of the README."""
CODE = ("specprof", "plugins", "benchmarks")
IN_SDIST = (ROOT / "PKG-INFO").exists()
"""An sdist leaves out most result files."""
COMMANDS = {each.name or each.callback.__name__ for each in app.registered_commands}


def docs(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(header: str, text: str = README) -> list[list[str]]:
    """Return the cells of the table whose header line begins with the given text."""
    _, _, rest = text.partition(f"\n| {header} |")
    lines = rest.split("\n\n")[0].splitlines()[2:]
    assert lines, header
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_command_is_in_the_table():
    """The table has no other command."""
    assert {row[0].strip("`") for row in table("command")} == COMMANDS
    assert len(COMMANDS) == len(list(Path(cli.__file__).parent.glob("[!_]*.py")))


def test_every_exit_code_is_in_the_table():
    """It has 0, every error's code, and the code of Ctrl-C."""
    kinds = [
        k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, SpecprofError)
    ]
    codes = {0, errors.INTERRUPTED, *(kind.exit_code for kind in kinds)}
    assert {int(row[0]) for row in table("code")} == codes


def test_every_metric_is_explained():
    """`specprof explain` knows each name on the page of diagnosis."""
    named = {row[0].strip("`") for row in table("name", docs("diagnosis.md"))}
    assert named <= set(glossary.METRICS)


def test_the_table_of_proofs_is_what_is_proven():
    """The rows are those that `python tests/support/proofs.py` prints."""
    assert proofs.table() in docs("methods.md")


def test_every_profile_is_listed():
    """The list has exactly the shipped profiles."""
    listed = {row[0].strip("`") for row in table("profile", docs("experiments.md"))}
    assert listed == set(profiles())


def test_the_tree_is_the_tree():
    """Every drawn file and folder exists, and every module of the package is drawn."""
    drawn = re.search(r"```\nspecprof/\n(.*?)```", docs("how-it-works.md"), re.DOTALL)[1]
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
    """The table's floors are import-linter's layers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn: dict[int, set[str]] = {}
    for row in table("floor", docs("how-it-works.md")):
        drawn.setdefault(int(row[0]), set()).update(re.findall(r"`(\w+)`", row[1]))
    assert [drawn[floor] for floor in sorted(drawn, reverse=True)] == [
        set(layer.replace(":", " ").split()) for layer in layers
    ]


def test_the_readme_is_short():
    """It is read at one sitting; longer topics have a page in docs/."""
    assert len((ROOT / "README.md").read_bytes()) <= LONGEST


@pytest.mark.parametrize("mark", ["run", "test"])
def test_a_marked_command_is_one_line(mark):
    """.ci/run and readers copy one line: no CUDA, and all that is locked, the builder too."""
    block = rf"^<!-- {mark} -->\n```sh\n(.*?)\n```"
    (command,) = re.findall(block, README, re.MULTILINE | re.DOTALL)
    assert "\n" not in command
    assert "--no-deps --index-url https://download.pytorch.org/whl/cpu torch==" in command
    assert " PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock " in command


def test_one_torch_is_named_everywhere():
    """The scripts read the version from the README's first mention."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(set(re.findall(r"torch==([\d.]+)", README + contributing))) == 1


def test_no_path_of_a_machine_is_committed():
    """No page, script or module leads outside the repository or to a private place."""
    code = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    scripts = [path for path in (ROOT / ".ci").iterdir() if path.is_file()]
    for path in [*PAGES, ROOT / "requirements.lock", *code, *scripts]:
        found = re.search(r"(^|[\s(`'\"])/(home|root|work|opt)/", path.read_text(encoding="utf-8"))
        assert not found, path


def slug(heading: str) -> str:
    """Return the anchor of a heading on a page of GitHub."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def missing_links(page: Path) -> set[str]:
    """Return the links of a page that lead to no file or to no heading."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    missing = set()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        if place.startswith(("http:", "https:")):
            continue
        file = (page.parent / place) if place else page
        if not file.exists():
            missing.add(place)
        elif anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor not in map(slug, headings):
                missing.add(link)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """It leads to an existing file, and to a heading in it."""
    missing = set(missing_links(page))
    if IN_SDIST:
        missing = {each for each in missing if "results/" not in each}
    assert not missing


def test_a_dead_link_is_seen(tmp_path):
    """It names a missing file or heading; code blocks hold no links."""
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](page.md#one-thing) [b](no.md) [c](#two)\n```\n[d](e)\n```\n")
    assert missing_links(page) == {"no.md", "#two"}
