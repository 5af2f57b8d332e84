"""House rules for the words people read, which no linter knows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPACED_PERCENT = re.compile(r"(?<=[0-9}]) %(?![(\w])(?! [a-z_]+[.(])")
"""A number and a percent sign with a space between; not Python's remainder."""


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
