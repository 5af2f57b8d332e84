"""A contributor's checks: the hooks, the quick checks and .ci/run have the same linters."""

import re
from pathlib import Path

import yaml  # comes with transformers

ROOT = Path(__file__).parents[1]
RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def linters():
    """Return the commands in .ci/run after the README's test command."""
    commands = re.findall(r"^told (.+)$", RUN, re.MULTILINE)
    return [each for each in commands if not each.startswith("bash ")]


def hooks():
    return [hook for repo in HOOKS["repos"] for hook in repo["hooks"]]


def test_the_hooks_are_the_linters():
    """They are all commands of .ci/run, in its order."""
    assert len(linters()) > 3
    assert [hook["entry"] for hook in hooks()] == linters()


def test_the_hooks_fetch_nothing_and_look_at_the_whole_tree():
    """They call installed programs, as .ci/run does, and don't get single files."""
    assert {repo["repo"] for repo in HOOKS["repos"]} == {"local"}
    for hook in hooks():
        assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    assert len({hook["id"] for hook in hooks()}) == len(hooks())


def test_the_quick_checks_are_the_linters():
    """CONTRIBUTING's line has them all in turn, and the tests that it names exist."""
    assert f"\n{' && '.join(linters())}\n" in CONTRIBUTING
    named = re.findall(r"tests/[\w/]+\.py", CONTRIBUTING)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_changelog_opens_with_what_is_unreleased():
    """A contributor's line has its place."""
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
