"""Finds the members that can be used: one file for each member, in a folder for each kind.

It looks in the package's own folders, in the shipped `plugins/`, in entry points of the group
`specprof.plugins` (each names a module that holds such folders), and in folders that the user
names. Names come from file stems, so listing imports nothing. A plug-in that can't be used is named
on stderr once and left out. Everything else goes on.
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
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Protocol, TypeVar, get_args

from specprof.errors import STOPPED, SpecprofError, UnknownName, UsageError, summarise_error
from specprof.findings import Family, Stage
from specprof.narration import narrate
from specprof.plain import plain
from specprof.reading import read_bytes, read_text

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
TOPIC_KINDS = frozenset({"fault"})
"""Kinds whose members may lie in folders by topic. Their names are `topic/stem`."""
PACKAGE = Path(__file__).parent
MAX_MEMBER_BYTES = 128 << 10
"""Of a member's file: Python takes seconds to parse a megabyte. Ours have 18 KB at most."""
ENTRY_POINT_GROUP = "specprof.plugins"
"""Of entry points."""
_left_out: set[str] = set()
"""Messages that were printed already."""
_OPENING = re.compile(r'\s*([rR]?"""(?:[^"\\]|\\.|"(?!""))*""")', re.DOTALL).match


class Kind(Protocol):
    """A base class of `specprof/extend.py`; `member_kind` is the kind that derives from it."""

    member_kind: ClassVar[str]
    """A key of FOLDERS."""


Added = TypeVar("Added", bound=Kind)


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
        """The file's whole docstring, read without importing it, or why it can't be read."""
        try:
            return _read_docstring(read_text(self.path, MAX_MEMBER_BYTES)) or "(has no docstring)"
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as trouble:
            return f"can't be read: {trouble}"

    @property
    def own(self) -> bool:
        """Whether it is shipped with the package."""
        return any(
            self.path.is_relative_to(place) for place in (PACKAGE, shipped_folder("plugins"))
        )


def shipped_folder(folder: str) -> Path:
    """Return `plugins/` or `profiles/`: inside an installed package, or beside it in a checkout."""
    installed = PACKAGE / "_shipped" / folder
    return installed if installed.is_dir() else PACKAGE.parent / folder


def members(kind: str, also: Iterable[Path] = ()) -> dict[str, Member]:
    """Return every member of a kind by name, built-in ones first."""
    found: dict[str, Member] = {}
    for folder in _member_folders(kind, also):
        for path in sorted(_member_files(kind, folder)):
            name = path.relative_to(folder).with_suffix("").as_posix().replace("_", "-")
            found.setdefault(name, Member(kind, name, path))
    return found


def member(kind: str, name: str, also: Iterable[Path] = ()) -> Member:
    """Return one member. A dash may stand for the slash of a name by topic.

    Raises UnknownName, which lists the known names, nearest first.
    """
    known = members(kind, also)
    asked = next((each for each in known if name in {each, each.replace("/", "-", 1)}), None)
    if asked is None:
        raise UnknownName(kind, name, known)
    return known[asked]


def get(base: type[Added], name: str) -> type[Added]:
    """Return the class of a member; raise UnknownName, or SpecprofError if it can't be loaded."""
    return load(base, member(base.member_kind, name))


def load_usable(base: type[Added], also: Iterable[Path] = ()) -> dict[str, Added]:
    """Return an instance of every member of a kind, by name.

    A plug-in that fails is named on stderr and left out. A shipped member must not fail: its error
    is raised.
    """
    found: dict[str, Added] = {}
    kind = base.member_kind
    for name, member in members(kind, also).items():
        try:
            one = load(base, member)()
            _check_declared(kind, one)
        except STOPPED:
            raise
        except BaseException as trouble:
            if member.own:
                raise
            leave_out(f"the {kind} {name} of {member.path}", trouble)
        else:
            found[name] = one
    return found


def leave_out(what: str, trouble: object) -> None:
    """Print on stderr, once in a process, which plug-in can't be used, and why."""
    reason = summarise_error(trouble) if isinstance(trouble, BaseException) else str(trouble)
    reason = trouble.title if isinstance(trouble, SpecprofError) else reason
    line = plain(f"left out: {what}: {reason}")
    if line not in _left_out:
        _left_out.add(line)
        narrate(f"specprof: {line}")


def check_folders(also: Iterable[Path]) -> list[Path]:
    """Return the folders the user names; raise UsageError if one is missing or adds nothing."""
    known = ", ".join(dict.fromkeys(f"{each.rpartition('/')[2]}/" for each in FOLDERS.values()))
    for place in also:
        if not place.is_dir():
            raise UsageError(f"there is no folder {place}", f"give a folder that holds {known}")
        if not _holds_members(place):
            title = f"the folder {place} adds nothing: it holds no folder of members"
            raise UsageError(title, f"put members into folders inside it: {known}")
    return list(also)


def load(base: type[Added], member: Member) -> type[Added]:
    """Import a member's file; return its class that derives from `base`.

    Raises SpecprofError if the file can't be imported, or doesn't define exactly one such class.
    """
    module = _import_member(member)
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


def _read_docstring(source: str) -> str:
    if opening := _OPENING(source):  # to parse whole files would triple the time of `list`
        return inspect.cleandoc(ast.literal_eval(opening[1]))
    return ast.get_docstring(ast.parse(source)) or ""


def _member_files(kind: str, folder: Path) -> list[Path]:
    alone = folder.glob("[!_]*.py")
    return [*alone, *(folder.glob("[!_]*/[!_]*.py") if kind in TOPIC_KINDS else ())]


def _member_folders(kind: str, also: Iterable[Path]) -> list[Path]:
    own = PACKAGE / FOLDERS[kind]
    others = [shipped_folder("plugins"), *_entry_point_folders(tuple(sys.path)), *also]
    return [own, *(place / FOLDERS[kind].rpartition("/")[2] for place in others)]


@cache
def _entry_point_folders(path: tuple[str, ...]) -> list[Path]:
    """Return the folders that packages installed on `path` offer; cached, because it takes long."""
    del path  # entry_points looks there
    try:
        entries = list(entry_points(group=ENTRY_POINT_GROUP))
    except Exception as trouble:  # noqa: BLE001 - a package's broken metadata must not hide others
        leave_out(f"all entry points of {ENTRY_POINT_GROUP}", trouble)
        return []
    places: list[Path] = []
    for entry in entries:
        try:
            places += _folders_of_entry(entry)
        except STOPPED:
            raise
        except BaseException as trouble:  # noqa: BLE001 - an import hook may raise anything
            leave_out(f"the entry point {entry.name} = {entry.value}", trouble)
    return places


def _folders_of_entry(entry: EntryPoint) -> list[Path]:
    """Return the folders of an entry point's package, which is found without importing it.

    `find_spec("a.b")` would import `a`, so each level is looked up by itself.
    """
    top, *inner = entry.module.split(".")
    spec = importlib.util.find_spec(top)
    for number in range(len(inner)):
        places = spec and spec.submodule_search_locations
        name = ".".join([top, *inner[: number + 1]])
        spec = PathFinder.find_spec(name, list(places)) if places else None
    if spec is None:
        raise UsageError(f"there is no module {entry.module}", "install its package again")
    found = [Path(place) for place in spec.submodule_search_locations or ()]
    if not any(_holds_members(place) for place in found):
        raise UsageError(f"{entry.module} holds no folder of members", "ask its author to add one")
    return found


def _holds_members(place: Path) -> bool:
    """Return whether a folder holds any folder of members."""
    return any((place / each.rpartition("/")[2]).is_dir() for each in FOLDERS.values())


def _check_declared(kind: str, one: object) -> None:
    """Refuse a rule or a probe that doesn't declare what its verdicts are sorted by."""
    if kind not in {"rule", "probe"}:
        return
    family = getattr(one, "family", None)
    if family not in get_args(Family):
        known = ", ".join(get_args(Family))
        raise SpecprofError(f"its family is {family!r}", f"known: {known}")
    _check_stage(one)
    for name in ("bears_on", "clears", "corrects") if kind == "probe" else ():
        rules = getattr(one, name, None)
        if not isinstance(rules, frozenset | set):
            raise SpecprofError(f"its {name} is {rules!r}", "make it a set of rules' names")


def _check_stage(one: object) -> None:
    """Refuse a stage that the decision table doesn't have, and the `row` that older members had."""
    row = getattr(one, "row", None)
    if row is not None and not callable(row):
        title = f"it declares row {row!r}, not used now: declare a stage, as Stage.DRAFT_STATE"
        raise SpecprofError(title, "see Rule.stage in specprof/extend.py")
    stage = getattr(one, "stage", None)
    if stage is not None and not isinstance(stage, Stage):
        known = ", ".join(f"Stage.{each.name}" for each in Stage)
        raise SpecprofError(f"its stage is {stage!r}, and it must be one of {known}", "change it")


def _import_member(member: Member) -> ModuleType:
    if member.path.is_relative_to(PACKAGE) and "_shipped" not in member.path.parts:
        inside = member.path.relative_to(PACKAGE.parent).with_suffix("")
        return importlib.import_module(".".join(inside.parts))
    name = f"specprof_plugin_{member.kind}_{member.name}".replace("-", "_").replace("/", "_")
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, member.path)
    assert spec is not None  # noqa: S101 - a .py path always has a spec
    assert spec.loader is not None  # noqa: S101
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        read_bytes(member.path, MAX_MEMBER_BYTES)  # refuses a pipe, for which the loader would wait
        spec.loader.exec_module(module)
    except STOPPED:
        del sys.modules[name]
        raise
    except BaseException as trouble:
        sys.modules.pop(name, None)
        said = (
            trouble if isinstance(trouble, Exception) and str(trouble) else summarise_error(trouble)
        )
        title = f"{member.path} can't be imported: {said}"
        raise SpecprofError(title, "mend the file, or take it out of the folder") from trouble
    return module
