"""The text the pocket family knows: the Python standard library's own sources.

This module names the files that are read and the modules that are held out of training. The
held-out modules, in the order below, are also the document that a default run walks over.
"""

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

HELD_OUT: tuple[str, ...] = (
    "argparse",
    "tarfile",
    "typing",
    "difflib",
    "subprocess",
    "statistics",
    "zipfile",
    "imaplib",
    "optparse",
    "pdb",
)
"""Modules no pocket model was trained on, long ones first: the natural text of the default run."""

MAX_TEST_BYTES = 200_000
SKIPPED_FOLDERS = frozenset(
    {"site-packages", "dist-packages", "encodings", "__pycache__", "lib2to3", "pydoc_data", "data"}
)


def stdlib_folder() -> Path:
    """Return where this Python keeps its library sources."""
    return Path(sysconfig.get_paths()["stdlib"])


def held_out_text() -> str:
    """Return the held-out modules' sources, joined: over 100k pocket tokens of real code."""
    return "\n\n".join(module_text(name) for name in HELD_OUT)


def module_text(name: str) -> str:
    """Return a module's source; a module that became a package gives its `__init__`."""
    folder = stdlib_folder()
    single = folder / f"{name}.py"
    return _read(single if single.exists() else folder / name / "__init__.py")


def training_texts(*, tests: bool) -> list[str]:
    """Return the training sources in path order, with or without the test suites."""
    return [_read(path) for path in sorted(_training_files(stdlib_folder(), tests=tests))]


def _training_files(folder: Path, *, tests: bool) -> Iterator[Path]:
    for path in _modules(folder):
        inside = path.relative_to(folder)
        if _is_held_out(inside):
            continue
        in_tests = {"test", "tests"}.intersection(inside.parts[:-1])
        if in_tests and (not tests or path.stat().st_size > MAX_TEST_BYTES or "bad" in path.stem):
            continue
        yield path


def _modules(folder: Path) -> Iterator[Path]:
    """Yield every source below `folder`, going into none of the skipped folders."""
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each not in SKIPPED_FOLDERS]
        yield from (Path(place, each) for each in files if each.endswith(".py"))


def _is_held_out(inside: Path) -> bool:
    stem = inside.stem.removeprefix("test_")
    return stem in HELD_OUT or inside.parts[0] in HELD_OUT


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
