"""What members declare that they can do, read from their files without importing them.

Settings are checked before torch is loaded, so class variables such as `Acceptance.trees` are read
as source text. Base classes are looked up in the file, in specprof, and in the folder of a plug-in.
A value that can't be read in this way is refused by name. It is never taken for the default.
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, NoReturn

from specprof import registry
from specprof.errors import UsageError
from specprof.reading import read_text

EXTEND = registry.PACKAGE / "extend.py"
"""It holds the base class of every kind, with the defaults."""
METHOD_OWNERS = ("self", "cls")
Bound = dict[str, ast.AST | None]
"""Name -> the node that it is bound to; None: it is bound twice, or in a way not analysed here."""


class Source(NamedTuple):
    """One file, parsed."""

    path: Path
    tree: ast.Module
    names: Bound


class Class(NamedTuple):
    """A class and its file. Each file is parsed once, so equal classes are one object."""

    source: Source
    node: ast.ClassDef


def capability(kind: str, name: str, what: str) -> int:
    """Return the class variable `what` of the member `name`: an int, or a bool as 0 or 1.

    Raises UsageError where no such member is known, or its declaration can't be read.
    """
    return _declared_value(registry.member(kind, name).path, kind, what)


def known_capability(kind: str, name: str, what: str) -> int | None:
    """Return the member's class variable; None if it is not installed here, or can't be read."""
    found = registry.members(kind).get(name)
    try:
        return None if found is None else _declared_value(found.path, kind, what)
    except UsageError:
        return None


def has_distribution(drafter: str) -> bool | None:
    """Return whether a drafter draws its drafts from a distribution; None if that is not known."""
    known = known_capability("drafter", drafter, "distribution")
    return None if known is None else bool(known)


@cache
def _declared_value(path: Path, kind: str, what: str) -> int:
    try:
        return _read_declaration(path, kind, what)
    except RecursionError as trouble:
        title = f"{path}: names in it refer to each other in a circle, or it is nested too deeply"
        raise UsageError(title, "mend the file") from trouble


def _read_declaration(path: Path, kind: str, what: str) -> int:
    base = _own_class(_parse_file(EXTEND), kind.capitalize())
    source = _parse_file(path)
    found, troubles = list[list[Class]](), list[UsageError]()
    for each in _leaf_classes(source):
        try:
            line = _resolution_order(each)
        except UsageError as trouble:  # it may be a class of another kind, with bases from anywhere
            troubles.append(trouble)
        else:
            found += [line] if base in line else []
    if not found:
        raise troubles[0] if troubles else _no_class_error(path, base.node.name)
    values = {_value_of(line, what) for line in found}
    if len(values) > 1:
        _refuse(source, source.tree, f"which of {len(found)} classes declares `{what}`")
    return values.pop()


def _no_class_error(path: Path, base: str) -> UsageError:
    return UsageError(f"{path} defines no class derived from {base}", "see specprof/extend.py")


def _refuse(source: Source, node: ast.AST, asked: str) -> NoReturn:
    line = getattr(node, "lineno", 1)
    title = f"{source.path}, line {line}: {asked} can't be read without importing the file"
    raise UsageError(title, "write it in the class itself, as True, False or a whole number")


@cache
def _parse_file(path: Path) -> Source:
    try:
        tree = ast.parse(read_text(path, registry.MAX_MEMBER_BYTES))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as trouble:
        title = f"{path} can't be read: {trouble}"
        raise UsageError(title, "mend the file, or take it out of the folder") from trouble
    return Source(path, tree, _bindings(tree.body))


def _bindings(body: list[ast.stmt]) -> Bound:
    """Return the names that a module's or a class's statements bind."""
    found: Bound = {}
    for line in body:
        for name, node in _statement_bindings(line):
            found[name] = None if name in found else node
    return found


def _statement_bindings(line: ast.stmt) -> Iterator[tuple[str, ast.AST | None]]:
    match line:
        case ast.ClassDef(name=name):
            yield name, line
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name, None
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            yield from [(name, value)] if value else []
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((each.asname or each.name.partition(".")[0], line) for each in names)
        case _:  # an `if`, a loop, several targets: which value the name gets is not known
            yield from ((name, None) for each in ast.walk(line) for name in _node_bindings(each))


def _node_bindings(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.alias(name=name, asname=given):
            return [given or name.partition(".")[0]]
    return []


def _leaf_classes(source: Source) -> list[Class]:
    """Return the classes from which no other class of the file derives."""
    classes = [each for each in source.tree.body if isinstance(each, ast.ClassDef)]
    bases = {ast.unparse(base) for each in classes for base in each.bases}
    return [Class(source, each) for each in classes if each.name not in bases]


def _own_class(source: Source, name: str) -> Class:
    node = source.names.get(name)
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - extend.py has every kind's base
    return Class(source, node)


def _resolution_order(one: Class) -> list[Class]:
    """Return a class and all its bases, in Python's method resolution order (C3)."""
    others = [*one.node.decorator_list, *(each.value for each in one.node.keywords)]
    if any(_find_class(one.source, each) is not None for each in others):
        _refuse(one.source, one.node, f"what is made of class {one.node.name}")
    found = (_find_class(one.source, each) for each in one.node.bases)
    bases = [each for each in found if each is not None]
    lines = [*(_resolution_order(each) for each in bases), bases]
    order = [one]
    while lines := [line for line in lines if line]:
        heads = [line[0] for line in lines]
        free = (each for each in heads if not any(each in line[1:] for line in lines))
        if (head := next(free, None)) is None:
            _refuse(one.source, one.node, f"the order of the bases of class {one.node.name}")
        order.append(head)
        lines = [line[1:] if line[0] == head else line for line in lines]
    return order


def _find_class(source: Source, asked: ast.AST) -> Class | None:
    """Return the class that an expression names; None for the standard library's classes.

    They declare nothing about members.
    """
    inner = asked.func if isinstance(asked, ast.Call) else asked
    inner = inner.value if isinstance(inner, ast.Subscript) else inner
    name = ast.unparse(inner)
    if name not in source.names and hasattr(builtins, name):
        return None
    where, node = _resolve_name(source, inner)
    if where is None:
        return None
    if not isinstance(node, ast.ClassDef):
        _refuse(source, asked, f"what {ast.unparse(asked)} is")
    return Class(where, node)


def _resolve_name(source: Source, asked: ast.AST) -> tuple[Source | None, ast.AST | None]:
    """Return the file in which a dotted name is bound, and the node; no file: standard library."""
    first, *rest = ast.unparse(asked).split(".")
    node = None if "*" in source.names else source.names.get(first)
    match node:
        case ast.ImportFrom(module=str(module), names=names, level=0):
            rest = [next(each.name for each in names if first == (each.asname or each.name)), *rest]
        case ast.Import(names=names):
            module = next((each.name for each in names if each.asname == first), first)
        case _:
            return source, None if rest else node
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None, None
    return _resolve_in_module(source, module, rest)


def _resolve_in_module(
    source: Source, module: str, rest: list[str]
) -> tuple[Source, ast.AST | None]:
    """Return the file and the node to which `rest` is bound in a module or its submodules."""
    while rest and (path := _find_module_file(source, f"{module}.{rest[0]}")):
        module, rest = f"{module}.{rest[0]}", rest[1:]
    path = _find_module_file(source, module)
    if path is None or not rest:
        return source, None
    there = _parse_file(path)
    where, node = _resolve_name(there, ast.parse(".".join(rest), mode="eval").body)
    return where or there, node


def _find_module_file(source: Source, module: str) -> Path | None:
    """Return a module's file in specprof or in the plug-in's own folder; None if neither has it."""
    inside = Path(*module.split("."))
    own = source.path.parent.parent
    for place in (registry.PACKAGE.parent, *map(Path, sys.path)):
        for path in (place / inside.with_suffix(".py"), place / inside / "__init__.py"):
            near = path.is_relative_to(registry.PACKAGE) or path.is_relative_to(own)
            if near and path.is_file():
                return path
    return None


def _value_of(line: list[Class], what: str) -> int:
    """Return the value of `what` in the first class of `line` that declares it."""
    for each in line:
        _refuse_assigned(each, what)
        names = _bindings(each.node.body)
        if what in names:
            value = _literal_value(each.source, names, names[what])
            if value is None:
                _refuse(each.source, names[what] or each.node, f"`{what}` of {each.node.name}")
            return value
    _refuse(line[0].source, line[0].node, f"`{what}` of {line[0].node.name}")


def _refuse_assigned(one: Class, what: str) -> None:
    """Refuse a class variable that a method sets, or that is set from outside the class."""
    within = dict(_assignments(one.node))
    outside = _outside_assignments(one.source.path)
    found = (within.get((owner, what)) for owner in METHOD_OWNERS)
    for each in (*found, outside.get((one.node.name, what))):
        if each is not None:
            _refuse(one.source, each, f"`{what}` of {one.node.name}")


@cache
def _outside_assignments(path: Path) -> dict[tuple[str, str], ast.AST]:
    """Return the attributes that a file assigns outside its classes and functions."""
    lines = _parse_file(path).tree.body
    plain = (each for each in lines if not isinstance(each, ast.ClassDef | ast.FunctionDef))
    return dict(found for line in plain for found in _assignments(line))


def _assignments(within: ast.AST) -> Iterator[tuple[tuple[str, str], ast.AST]]:
    """Yield each assigned attribute as (owner, attribute), and its node."""
    for node in ast.walk(within):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attr, ctx=ast.Store()):
                yield (owner, attr), node


def _literal_value(source: Source, names: Bound, node: ast.AST | None) -> int | None:
    """Return the value of a literal, or of the constant that a name stands for; else None."""
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            known = _literal_value(source, names, inner)
            return None if known is None else not known
        case ast.Name(id=name) if name in names and names is not source.names:
            return _literal_value(source, names, names[name])
        case ast.Name() | ast.Attribute():
            where, found = _resolve_name(source, node)
            return (
                _literal_value(where, where.names, found) if where and found is not node else None
            )
    return None
