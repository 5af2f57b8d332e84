"""The house rules on sizes and names, as tests. An exception needs a reason here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("specprof", "plugins", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
IDS = [str(path.relative_to(ROOT)) for path in FILES]
FILE_LINES, FUNCTION_LINES = 400, 60
VAGUE = ("manager", "helper", "util", "utils", "misc", "common")
ONE_LETTER_LAWS = {"p", "q"}
LONGER_FILES: dict[str, str] = {}
"""File -> why it may be longer."""
LONGER_FUNCTIONS = {}
"""`file:function` -> why it may be longer."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def names(tree: ast.AST) -> Iterator[str]:
    """Return every name in a file: variables, parameters, attributes, functions, classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def words(name: str) -> set[str]:
    """Split `KVCacheManager` and `kv_cache_manager` into kv, cache and manager, in lower case."""
    spaced = "".join(f" {sign}" if sign.isupper() else sign for sign in name)
    return set(spaced.replace("_", " ").lower().split())


def test_there_is_something_to_look_at():
    """The rules below are tested on real files."""
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_file_keeps_the_house_rules(path):
    """Files have at most 400 lines, functions at most 60; no name is p, q or vague."""
    text = path.read_text(encoding="utf-8")
    tree, name = ast.parse(text), str(path.relative_to(ROOT))
    if name not in LONGER_FILES:
        assert len(text.splitlines()) <= FILE_LINES
    long = {
        f"{name}:{each.name}"
        for each in functions(tree)
        if each.end_lineno - each.lineno + 1 > FUNCTION_LINES
    }
    assert long <= LONGER_FUNCTIONS.keys()
    given = set(names(tree))
    assert not given & ONE_LETTER_LAWS
    vague = {each for each in {*given, path.stem} if words(each) & set(VAGUE)}
    assert not vague


def test_every_exception_is_still_one():
    """A file or function that fits again leaves the list."""
    for place in LONGER_FILES:
        assert len((ROOT / place).read_text().splitlines()) > FILE_LINES
    for place in LONGER_FUNCTIONS:
        file, _, function = place.partition(":")
        tree = ast.parse((ROOT / file).read_text())
        (found,) = [each for each in functions(tree) if each.name == function]
        assert found.end_lineno - found.lineno + 1 > FUNCTION_LINES


@pytest.mark.parametrize(
    ("source", "found"),
    [("p = 1", {"p"}), ("def f(q): pass", {"f", "q"}), ("class CacheManager: pass", {"manager"})],
)
def test_the_rules_see_what_they_forbid(source, found):
    """A variable, a parameter and a class name are all looked at."""
    given = set(names(ast.parse(source)))
    assert found <= given | {word for each in given for word in words(each)}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_module_says_what_it_is(path):
    """Every file that holds code opens with a docstring; every test says its behaviour."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree)
    if path.name.startswith("test_"):
        tests = [each for each in functions(tree) if each.name.startswith("test_")]
        assert [each.name for each in tests if not ast.get_docstring(each)] == []
