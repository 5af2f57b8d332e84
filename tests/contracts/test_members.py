"""The contract of every member: it loads, it says what it is, and its name is its own."""

import re
from collections import Counter
from pathlib import Path

import pytest

from specprof import extend, registry
from specprof.engine.fault import Fault

BASES = {
    each.member_kind: each
    for each in (*vars(extend).values(), Fault)
    if isinstance(each, type) and hasattr(each, "member_kind")
}
"""Kind -> the base class its members derive from."""

MEMBERS = [each for kind in registry.FOLDERS for each in registry.members(kind).values()]
IDS = [f"{each.kind}-{each.name}" for each in MEMBERS]
HEADINGS = ["Measures", "Fires when", "Why this is", "Likely causes", "Confirm", "Does not see",
            "Try it"]  # fmt: skip
RULES = [each for each in MEMBERS if each.kind == "rule"]


@pytest.mark.parametrize("member", MEMBERS, ids=IDS)
def test_it_loads_to_one_class_of_its_kind(member):
    """Its file gives one concrete class derived from the kind's base."""
    kind = registry.load(BASES[member.kind], member)
    assert issubclass(kind, BASES[member.kind])


@pytest.mark.parametrize("member", MEMBERS, ids=IDS)
def test_its_file_opens_with_a_sentence(member):
    """`specprof list` shows the docstring's first line, which must fit beside the name."""
    assert member.summary.endswith("."), member.summary
    assert 10 < len(member.summary) <= 100


@pytest.mark.parametrize("member", MEMBERS, ids=IDS)
def test_its_name_can_be_typed(member):
    """It has lower case letters, digits and dashes, and a topic if its kind has topics."""
    topic, _, name = member.name.rpartition("/")
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    assert re.fullmatch(r"[a-z]*", topic)
    assert not topic or member.kind in registry.TOPIC_KINDS


def test_no_name_is_given_twice():
    """A plugin's file can't hide behind a built-in's name of the same kind."""
    found = Counter(
        (kind, path.relative_to(folder).with_suffix("").as_posix().replace("_", "-"))
        for kind in registry.FOLDERS
        for folder in registry._member_folders(kind, ())
        for path in registry._member_files(kind, folder)
    )
    assert [name for name, count in found.items() if count > 1] == []
    assert set(found) == {(each.kind, each.name) for each in MEMBERS}


def test_every_kind_has_members():
    """An empty kind would make these contracts true of nothing."""
    assert {each.kind for each in MEMBERS} == set(registry.FOLDERS)


@pytest.mark.parametrize("member", RULES, ids=[each.name for each in RULES])
def test_a_rule_explains_itself_under_the_headings(member):
    """`specprof explain` prints the docstring: every heading is there in order, each with text."""
    starts = [
        match.start()
        for heading in HEADINGS
        for match in [re.search(rf"^{heading}", member.docstring, re.MULTILINE)]
        if match
    ]
    assert len(starts) == len(HEADINGS)
    assert starts == sorted(starts)
    parts = [member.docstring[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert all(len(part.splitlines()) > 1 or ":" in part for part in parts)


def test_the_shipped_folders_hold_only_kinds():
    """A misspelt folder in `plugins/` would never be searched."""
    kinds = {Path(folder).name for folder in registry.FOLDERS.values()}
    folders = {each.name for each in registry.shipped_folder("plugins").iterdir() if each.is_dir()}
    assert folders - {"__pycache__"} <= kinds
