"""House rules for the words people read, which no linter knows."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPACED_PERCENT = re.compile(r"(?<=[0-9}]) %(?![(\w])(?! [a-z_]+[.(])")
"""A number and a percent sign with a space between; not Python's remainder."""
RIDDLES = re.compile(r"\b(told|likewise|whoever|said of)\b", re.IGNORECASE)
"""Words for which there is always a plainer one: say, print, report, the same with its noun."""
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
"""Of Python's tokens those that people read; the last came with Python 3.12."""


def read_by_people() -> list[Path]:
    """Return the files whose text people read: code, docs, known cases."""
    folders = [ROOT / name for name in ("specprof", "plugins", "docs")]
    found = [path for folder in folders for path in folder.rglob("*")]
    return [path for path in [*found, *ROOT.glob("*.md")] if path.suffix in {".py", ".md", ".toml"}]


def test_a_percentage_is_written_in_one_way():
    """`12%`, as Python's own format writes it: texts join hand-written and formatted numbers."""
    spaced = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in read_by_people()
        for line in path.read_text(encoding="utf-8").splitlines()
        if SPACED_PERCENT.search(line)
    ]
    assert spaced == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [("a 95 % interval", True), ("{share} %", True), ("12%", False), ("31 % config.size", False)],
)
def test_the_search_for_percentages_sees_what_it_should(line, seen):
    """Both kinds of number, and not the remainder."""
    assert bool(SPACED_PERCENT.search(line)) is seen


def prose(path: Path) -> Iterator[str]:
    """Yield the lines of a file that are text: in Python comments, docstrings and strings."""
    written = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from written.splitlines()
        return
    for token in tokenize.generate_tokens(io.StringIO(written).readline):
        if token.type in TEXTS:
            yield from token.string.splitlines()


def test_no_text_has_a_word_that_stops_a_reader():
    """CONTRIBUTING says why; it names the words itself."""
    hard = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in read_by_people()
        if path.name != "CONTRIBUTING.md"
        for line in prose(path)
        if RIDDLES.search(line)
    ]
    assert hard == []


def test_the_search_for_words_sees_texts_alone(tmp_path):
    """A name of code is no text."""
    path = tmp_path / "some.py"
    path.write_text('told = f"as told {1}"  # likewise\n"""Whoever."""\n', encoding="utf-8")
    seen = [line for line in prose(path) if RIDDLES.search(line)]
    assert len(seen) == 3
    assert not any("told =" in line for line in seen)
