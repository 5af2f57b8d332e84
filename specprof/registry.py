"""Finds what can be added: one file a member, in a folder per kind.

Looks in the package's own folders, in the shipped `plugins/`, in entry points of the group
`specprof.plugins` (each names a module holding such folders), and in folders the user names.
Names come from file stems, so listing imports nothing. What somebody added and can't be used is
named on stderr, once, and left out: the rest goes on.
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

from specprof.errors import STOPPED, SpecprofError, UnknownName, UsageError, in_a_line
from specprof.findings import Family, Stage
from specprof.narration import tell
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
BY_TOPIC = frozenset({"fault"})
"""Kinds of which members may lie in folders by topic: then a name is `topic/stem`."""
PACKAGE = Path(__file__).parent
LARGEST_BYTES = 128 << 10
"""Of a member's file: Python parses a megabyte for seconds. Ours have 18 KB at most."""
GROUP = "specprof.plugins"
"""Of entry points."""
_left_out: set[str] = set()
"""What was told of once."""
_OPENING = re.compile(r'\s*([rR]?"""(?:[^"\\]|\\.|"(?!""))*""")', re.DOTALL).match


class Kind(Protocol):
    """A base class of `specprof/extend.py`: it says which kind of member derives from it."""

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
        """The file's whole docstring, read without importing it, or why there is none to read."""
        try:
            return _docstring(read_text(self.path, LARGEST_BYTES)) or "(says nothing of itself)"
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as trouble:
            return f"can't be read: {trouble}"

    @property
    def own(self) -> bool:
        """Whether the package itself ships it."""
        return any(self.path.is_relative_to(place) for place in (PACKAGE, shipped("plugins")))


def shipped(folder: str) -> Path:
    """Return `plugins/` or `profiles/`: inside an installed package, or beside it in a checkout."""
    installed = PACKAGE / "_shipped" / folder
    return installed if installed.is_dir() else PACKAGE.parent / folder


def members(kind: str, also: Iterable[Path] = ()) -> dict[str, Member]:
    """Return every member of a kind by name, built-in ones first."""
    found: dict[str, Member] = {}
    for folder in _folders(kind, also):
        for path in sorted(_files(kind, folder)):
            name = path.relative_to(folder).with_suffix("").as_posix().replace("_", "-")
            found.setdefault(name, Member(kind, name, path))
    return found


def member(kind: str, name: str, also: Iterable[Path] = ()) -> Member:
    """Return one member; an unknown name lists the known ones, nearest first.

    The slash of a name by topic may be a dash.
    """
    known = members(kind, also)
    asked = next((each for each in known if name in {each, each.replace("/", "-", 1)}), None)
    if asked is None:
        raise UnknownName(kind, name, known)
    return known[asked]


def get(base: type[Added], name: str) -> type[Added]:
    """Return the member of that name; an unknown name lists the known ones, nearest first."""
    return load(base, member(base.member_kind, name))


def usable(base: type[Added], also: Iterable[Path] = ()) -> dict[str, Added]:
    """Return one of every member of a kind by name, without those that fail; these are told.

    What the package itself ships must not fail: its error is raised.
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
    """Say on stderr, once a process, what was added and can't be used."""
    reason = in_a_line(trouble) if isinstance(trouble, BaseException) else str(trouble)
    reason = trouble.title if isinstance(trouble, SpecprofError) else reason
    line = plain(f"left out: {what}: {reason}")
    if line not in _left_out:
        _left_out.add(line)
        tell(f"specprof: {line}")


def checked_folders(also: Iterable[Path]) -> list[Path]:
    """Return folders the user names; UsageError where there is none, or nothing of use in it."""
    known = ", ".join(dict.fromkeys(f"{each.rpartition('/')[2]}/" for each in FOLDERS.values()))
    for place in also:
        if not place.is_dir():
            raise UsageError(f"there is no folder {place}", f"give one that holds {known}")
        if not _offers(place):
            title = f"the folder {place} adds nothing: it holds no folder of members"
            raise UsageError(title, f"members lie in folders of it: {known}")
    return list(also)


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


def _files(kind: str, folder: Path) -> list[Path]:
    alone = folder.glob("[!_]*.py")
    return [*alone, *(folder.glob("[!_]*/[!_]*.py") if kind in BY_TOPIC else ())]


def _folders(kind: str, also: Iterable[Path]) -> list[Path]:
    own = PACKAGE / FOLDERS[kind]
    others = [shipped("plugins"), *_entry_point_folders(tuple(sys.path)), *also]
    return [own, *(place / FOLDERS[kind].rpartition("/")[2] for place in others)]


@cache
def _entry_point_folders(path: tuple[str, ...]) -> list[Path]:
    """Return the folders that packages installed on `path` offer; reading them all takes long."""
    del path  # entry_points looks there
    try:
        entries = list(entry_points(group=GROUP))
    except Exception as trouble:  # noqa: BLE001 - somebody's broken metadata must not hide the rest
        leave_out(f"what installed packages add by {GROUP}", trouble)
        return []
    places: list[Path] = []
    for entry in entries:
        try:
            places += _offered(entry)
        except STOPPED:
            raise
        except BaseException as trouble:  # noqa: BLE001 - whatever an import system does
            leave_out(f"the entry point {entry.name} = {entry.value}", trouble)
    return places


def _offered(entry: EntryPoint) -> list[Path]:
    """Return the folders of an entry point's package, which is found and not imported.

    Python's own way to find `a.b` imports `a`.
    """
    top, *inner = entry.module.split(".")
    spec = importlib.util.find_spec(top)
    for number in range(len(inner)):
        places = spec and spec.submodule_search_locations
        name = ".".join([top, *inner[: number + 1]])
        spec = PathFinder.find_spec(name, list(places)) if places else None
    if spec is None:
        raise UsageError(f"there is no module {entry.module}", "install it anew")
    found = [Path(place) for place in spec.submodule_search_locations or ()]
    if not any(_offers(place) for place in found):
        raise UsageError(f"{entry.module} holds no folder of members", "ask its author")
    return found


def _offers(place: Path) -> bool:
    """Whether a folder holds any of the folders that members lie in."""
    return any((place / each.rpartition("/")[2]).is_dir() for each in FOLDERS.values())


def _check_declared(kind: str, one: object) -> None:
    """Refuse a judge that doesn't say what its verdicts are to be sorted by."""
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
            raise SpecprofError(f"its {name} is {rules!r}", "it is a set of rules' names")


def _check_stage(one: object) -> None:
    """Refuse what stands nowhere in the decision table, and the numbers that were its rows once."""
    row = getattr(one, "row", None)
    if row is not None and not callable(row):
        title = f"it declares row {row!r}, which is gone: declare a stage, as Stage.DRAFT_STATE"
        raise SpecprofError(title, "see Rule.stage in specprof/extend.py")
    stage = getattr(one, "stage", None)
    if stage is not None and not isinstance(stage, Stage):
        known = ", ".join(f"Stage.{each.name}" for each in Stage)
        raise SpecprofError(f"its stage is {stage!r}, and it must be one of {known}", "change it")


def _module(member: Member) -> ModuleType:
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
        read_bytes(member.path, LARGEST_BYTES)  # the loader would wait for a pipe for ever
        spec.loader.exec_module(module)
    except STOPPED:
        del sys.modules[name]
        raise
    except BaseException as trouble:
        sys.modules.pop(name, None)
        said = trouble if isinstance(trouble, Exception) and str(trouble) else in_a_line(trouble)
        title = f"{member.path} can't be imported: {said}"
        raise SpecprofError(title, "mend the file, or take it out of the folder") from trouble
    return module
