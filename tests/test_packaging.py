"""The packages to publish: the sdist builds and tests, and the wheel made from it runs."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from specprof import pocket

ROOT = Path(__file__).parents[1]
SHIPPED = [
    path.relative_to(ROOT)
    for folder, kind in (("plugins", "*.py"), ("profiles", "*.toml"))
    for path in (ROOT / folder).rglob(kind)
]
RUN_TIME = {".py", ".tcss", ".json", ".safetensors", ".txt", ".toml", ".md"}


FIGURES = Path("benchmarks", "results")
NEEDED_FIGURES = {"diagnosis.json", "dashboard.svg"}
"""The results that a test reads or the README shows."""
TOP_FILES = {
    Path(".gitignore"),
    Path(".pre-commit-config.yaml"),
    Path("CHANGELOG.md"),
    Path("CONTRIBUTING.md"),
    Path("LICENSE"),
    Path("README.md"),
    Path("pyproject.toml"),
    Path("requirements.lock"),
}
FOLDERS = (".ci", "benchmarks", "docs", "plugins", "profiles", "specprof", "tests")


def run_tool(*arguments: str | Path) -> str:
    """Run a module of this Python and return its output; it must succeed."""
    command = [sys.executable, "-m", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Build the sdist, and the wheel from it, with installed packages and without a network."""
    folder = tmp_path_factory.mktemp("built")
    run_tool("build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    """The wheel."""
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built) -> Path:
    """The source distribution."""
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Return a folder with the wheel's content, as an installer unpacks it."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.unpack_archive(wheel, folder, "zip")
    return folder


def specprof(installed: Path, cwd: Path, *arguments: str) -> str:
    """Run the installed package, and no other copy of it, from an unrelated folder."""
    libraries = sysconfig.get_path("purelib")
    code = (
        f"import sys; sys.path[:0] = [{str(installed)!r}]; sys.path += [{libraries!r}]\n"
        "import specprof; from specprof.cli import main\n"
        f"assert specprof.__file__.startswith({str(installed)!r})\n"
        f"sys.argv = ['specprof', *{list(arguments)!r}]\n"
        "main()"
    )
    command = [sys.executable, "-I", "-c", code]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_wheel_holds_every_file_of_the_package(wheel):
    """Code, style sheets, the models' weights and tokenizer, the plugins, the profiles."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "specprof").rglob("*")
        if path.suffix in RUN_TIME and "__pycache__" not in path.parts
    }
    assert SHIPPED
    assert package <= inside
    assert {f"specprof/_shipped/{path}" for path in SHIPPED} <= inside


def test_the_wheel_holds_nothing_else(wheel):
    """It has no tests, caches, captures or folders of this machine."""
    inside = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"specprof"}
    assert not [name for name in inside if "__pycache__" in name or name.endswith(".jsonl")]


def test_the_licence_and_the_command_come_with_it(wheel):
    """The distribution has its licence text and the console command."""
    with zipfile.ZipFile(wheel) as content:
        facts = {Path(name).name: name for name in content.namelist() if ".dist-info/" in name}
        assert "Apache License" in content.read(facts["LICENSE"]).decode()
        assert "specprof = specprof.cli:main" in content.read(facts["entry_points.txt"]).decode()


def test_the_usual_tool_has_nothing_to_say(wheel, sdist):
    """`twine check --strict`: the metadata are complete, and the README can be shown as a page."""
    told = run_tool("twine", "--no-color", "check", "--strict", wheel, sdist)
    assert told.count("PASSED") == 2
    assert "WARNING" not in told.upper()


def test_the_metadata_are_the_project_s(installed):
    """An index shows them, and an installer obeys them."""
    (place,) = installed.glob("*.dist-info")
    facts = Distribution.at(place).metadata
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert facts["Name"] == "specprof"
    assert facts["Summary"] == project["description"]
    assert facts["License-Expression"] == "Apache-2.0"
    assert facts["Requires-Python"] == project["requires-python"]
    assert facts["Description-Content-Type"] == "text/markdown"
    assert facts.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert set(facts.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    assert set(facts.get_all("Classifier")) == set(project["classifiers"])
    assert set(facts["Keywords"].split(",")) == set(project["keywords"])


def test_the_sdist_holds_what_builds_and_tests_it_and_nothing_else(sdist):
    """It has code, tests, benchmarks, lock and checks, and only the figures that tests need."""
    with tarfile.open(sdist) as content:
        inside = {Path(*Path(one.name).parts[1:]) for one in content if one.isfile()}
    tree = {
        path.relative_to(ROOT)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    figures = {path for path in tree if path.parent == FIGURES}
    needed = {FIGURES / name for name in NEEDED_FIGURES}
    assert needed < figures
    assert inside == (tree - figures) | needed | TOP_FILES | {Path("PKG-INFO")}


def test_an_installed_list_shows_plugins_and_profiles(installed, tmp_path):
    """From an unrelated folder, the installed package finds its own plugins and profiles.

    A file beside the kinds' folders adds no member: it is an example to be read and run.
    """
    document = json.loads(specprof(installed, tmp_path, "list", "--json"))
    found = {(row["kind"], row["name"]): Path(row["from"]) for row in document["members"]}
    assert all(path.is_relative_to(installed) for path in found.values())
    for path in (each for each in SHIPPED if each.parent.name != "plugins"):
        kind = "profile" if path.suffix == ".toml" else path.parent.name.removesuffix("s")
        assert (kind, path.stem.replace("_", "-")) in found


def test_an_installed_plugin_works(installed, tmp_path):
    """A shipped plugin, loaded from where it was installed, writes its file."""
    from captures import healthy

    specprof(installed, tmp_path, "export", "sqlite", str(healthy(tmp_path / "run.jsonl")))
    assert (tmp_path / "run.sqlite").read_bytes().startswith(b"SQLite format 3")


def test_an_installed_package_has_the_pocket_family(installed):
    """Every model and head of the family that is in the tree is in the package, weights and all."""
    assert pocket.members(), "the family has no weights here"
    for name in [*pocket.members(), *pocket.heads()]:
        here = pocket.folder(name)
        there = installed / here.relative_to(ROOT)
        for file in here.iterdir():
            assert (there / file.name).stat().st_size == file.stat().st_size
