"""Finds what can be added: one file a member, in a folder per kind.

Looks in the package's own folders, in the shipped `plugins/`, in entry points of the group
`specprof.plugins` (each names a module holding such folders), and in folders the user names.
Names come from file stems, so listing imports nothing.
"""

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from specprof import extend
from specprof.errors import SpecprofError, UnknownName
from specprof.reading import read_bytes, read_text

KINDS: dict[str, type] = {
    "drafter": extend.Drafter,
    "shape": extend.Shape,
    "depth": extend.Depth,
    "cache": extend.Cache,
    "acceptance": extend.Acceptance,
    "backend": extend.Backend,
    "rule": extend.Rule,
    "exporter": extend.Exporter,
    "fault": extend.Fault,
    "probe": extend.Probe,
}
FOLDERS = {
    "drafter": "drafters",
    "shape": "shapes",
    "depth": "depths",
    "cache": "caches",
    "acceptance": "acceptance",
    "backend": "backends",
    "rule": "diagnosis/rules",
    "exporter": "exporters",
    "fault": "faults",
    "probe": "diagnosis/probes",
}
PACKAGE = Path(__file__).parent
LARGEST_BYTES = 4 << 20
"""Of a member's file."""
_OPENING = re.compile(r'\s*([rR]?"""(?:[^"\\]|\\.|"(?!""))*""")', re.DOTALL).match
Added = TypeVar("Added")


@dataclass(frozen=True, slots=True)
class Member:
    """One file that adds something, not yet imported."""

    kind: str
    name: str
    path: Path

    @property
    def summary(self) -> str:
        """The first line of the file's docstring, read without importing it."""
        return self.docstring.partition("\n")[0]

    @property
    def docstring(self) -> str:
        """The file's whole docstring, read without importing it, or why there is none to read."""
        try:
            return _docstring(read_text(self.path, LARGEST_BYTES))
        except (OSError, SyntaxError, ValueError) as trouble:
            return f"can't be read: {trouble}"


def shipped(folder: str) -> Path:
    """Return `plugins/` or `profiles/`: inside an installed package, or beside it in a checkout."""
    installed = PACKAGE / "_shipped" / folder
    return installed if installed.is_dir() else PACKAGE.parent / folder


def members(kind: str, also: Iterable[Path] = ()) -> dict[str, Member]:
    """Return every member of a kind by name, built-in ones first."""
    found: dict[str, Member] = {}
    for folder in _folders(kind, also):
        for path in sorted(folder.glob("[!_]*.py")):
            name = path.stem.replace("_", "-")
            found.setdefault(name, Member(kind, name, path))
    return found


def member(kind: str, name: str, also: Iterable[Path] = ()) -> Member:
    """Return one member; an unknown name lists the known ones, nearest first."""
    known = members(kind, also)
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]


def load(base: type[Added], member: Member) -> type[Added]:
    """Import a member's file and return the one class in it that derives from `base`."""
    module = _module(member)
    classes = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, base)
        and thing.__module__ == module.__name__
        and not inspect.isabstract(thing)
    ]
    if len(classes) != 1:
        found = ", ".join(each.__name__ for each in classes) or "none"
        title = f"{member.path} must define one {base.__name__}; found {found}"
        raise SpecprofError(title, "one file adds one member; see specprof/extend.py")
    return classes[0]


def _docstring(source: str) -> str:
    if opening := _OPENING(source):  # parsing whole files would triple the time of `list`
        return inspect.cleandoc(ast.literal_eval(opening[1]))
    return ast.get_docstring(ast.parse(source)) or ""


def _folders(kind: str, also: Iterable[Path]) -> list[Path]:
    own = PACKAGE / FOLDERS[kind]
    others = [shipped("plugins"), *_entry_point_folders(tuple(sys.path)), *also]
    return [own, *(place / FOLDERS[kind].rpartition("/")[2] for place in others)]


@cache
def _entry_point_folders(path: tuple[str, ...]) -> list[Path]:
    """Return the folders that packages installed on `path` offer; reading them all takes long."""
    del path  # entry_points looks there
    places: list[Path] = []
    for entry in entry_points(group="specprof.plugins"):
        spec = importlib.util.find_spec(entry.value)
        places.extend(Path(place) for place in (spec and spec.submodule_search_locations) or ())
    return places


def _module(member: Member) -> ModuleType:
    if member.path.is_relative_to(PACKAGE) and "_shipped" not in member.path.parts:
        inside = member.path.relative_to(PACKAGE.parent).with_suffix("")
        return importlib.import_module(".".join(inside.parts))
    name = f"specprof_plugin_{member.kind}_{member.path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, member.path)
    assert spec is not None  # noqa: S101 - a .py path always has a spec
    assert spec.loader is not None  # noqa: S101
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        read_bytes(member.path, LARGEST_BYTES)  # the loader would wait for a pipe for ever
        spec.loader.exec_module(module)
    except Exception as trouble:
        del sys.modules[name]
        title = f"{member.path} can't be imported: {trouble}"
        raise SpecprofError(title, "mend the file, or take it out of the folder") from trouble
    return module
