"""docs/how-it-works.md names files, folders and functions as they are."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from specprof import registry

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "specprof"
PAGE = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
MARKED = sorted(set(re.findall(r"`([\w./-]+)`", PAGE)))
PATHS = [each for each in MARKED if "/" in each or each.endswith((".py", ".toml", ".md"))]
DOTTED = re.compile(r"(?!specprof)\w+(\.\w+)+")
NAMES = [each for each in MARKED if DOTTED.fullmatch(each) and each not in PATHS]


def is_member(path):
    """Return whether a file of the package is a member of a kind: `specprof list` has its line."""
    by_topic = {PACKAGE / registry.FOLDERS[kind] for kind in registry.TOPIC_KINDS}
    plain = {PACKAGE / folder for folder in registry.FOLDERS.values()} - by_topic
    placed = path.parent in plain or path.parent.parent in by_topic
    return placed and not path.stem.startswith("_")


MODULES = [
    path.relative_to(PACKAGE).as_posix()
    for path in sorted(PACKAGE.glob("*/**/*.py"))
    if not path.stem.startswith("__") and not is_member(path)
]
"""Below the package's top level, which the page's tree shows."""


def defined(dotted):
    """Return whether a dotted name is a module of the package, or is defined in a module."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:cut]).with_suffix(".py")
        if path.is_file():
            return _holds(ast.parse(path.read_text(encoding="utf-8")).body, parts[cut:])
    return False


def _holds(body, names):
    if not names:
        return True
    found = [each for each in body if getattr(each, "name", None) == names[0]]
    return bool(found) and _holds(found[0].body, names[1:])


@pytest.mark.parametrize("path", PATHS)
def test_a_named_file_or_folder_is_there(path):
    """It is in the repository, the package, or the engine, whose modules have short names."""
    assert any((base / path).exists() for base in (ROOT, PACKAGE, PACKAGE / "engine"))


@pytest.mark.parametrize("name", NAMES)
def test_a_named_function_is_there(name):
    """Its module defines it."""
    assert defined(name), name


def test_a_name_that_is_gone_would_be_seen():
    """It may be a renamed function, a moved module, or a method of another class."""
    assert len(NAMES) > 30
    assert len(PATHS) > 20
    assert defined("engine.loop")
    assert not defined("engine.loops")
    assert not defined("engine.loop.nowhere")
    assert not defined("capture.CaptureReader.write")


def test_the_rooms_are_the_engines():
    """A new or missing folder is seen; so is a loose module that no sentence names."""
    rooms = {
        path.name for path in (PACKAGE / "engine").iterdir() if (path / "__init__.py").exists()
    }
    assert set(re.findall(r"^\| `engine/(\w+)/` \|", PAGE, re.MULTILINE)) == rooms
    loose = {path.name for path in (PACKAGE / "engine").glob("*.py")} - {"__init__.py"}
    assert loose <= set(MARKED)


@pytest.mark.parametrize("path", MODULES)
def test_every_module_has_its_line(path):
    """A newcomer finds it by its subject; a new module adds its line to the page's tables."""
    assert {path, path.removeprefix("engine/")} & set(MARKED), f"docs/how-it-works.md lacks {path}"


def test_members_are_told_from_what_they_share():
    """A member needs no line, a file beside it does."""
    assert len(MODULES) > 150
    assert {"faults/_during.py", "recording/checks.py"} <= set(MODULES)
    assert not {"faults/kv/target_rejected_kept.py", "drafters/ngram.py"} & set(MODULES)


def test_each_wall_says_why_it_stands():
    """The page names every contract of import-linter."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = [each["name"] for each in project["tool"]["importlinter"]["contracts"]]
    told = re.findall(r"^- \*\*(.*?)\.\*\*", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(contracts)


def test_every_link_of_the_page_leads_somewhere():
    """It leads to a heading of the page, or to another page."""
    heads = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\((.*?)\)", PAGE):
        assert target[1:] in heads if target[0] == "#" else (ROOT / "docs" / target).is_file()
