"""The wheel: what a user installs holds everything that `specprof` needs at run time."""

import json
import subprocess
import sys
import sysconfig
import zipfile
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel with what is installed: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the wheel's content, as an installer unpacks it."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder)
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
    """No tests, caches, captures or folders of this machine travel along."""
    inside = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"specprof"}
    assert not [name for name in inside if "__pycache__" in name or name.endswith(".jsonl")]


def test_the_licence_and_the_command_come_with_it(wheel):
    """The distribution's own facts: its licence text and the console command."""
    with zipfile.ZipFile(wheel) as content:
        facts = {Path(name).name: name for name in content.namelist() if ".dist-info/" in name}
        assert "Apache License" in content.read(facts["LICENSE"]).decode()
        assert "specprof = specprof.cli:main" in content.read(facts["entry_points.txt"]).decode()


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
