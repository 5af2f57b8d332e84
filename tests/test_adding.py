"""The worked examples of docs/: their quotations are in the files, and their code runs."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

import captures
import engines
from specprof.extend import Drafter
from specprof.records import Header
from tables import TableDecoder

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / "docs" / f"adding-a-{name}.md").read_text() for name in ("rule", "drafter")}
QUOTES = [
    (path, code)
    for text in PAGES.values()
    for path, code in re.findall(r"<!-- from: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL)
]
replace = msgspec.structs.replace


def shown(page, mark):
    """Return the only block of code under a mark."""
    (code,) = re.findall(rf"<!-- {mark} -->\n```python\n(.*?)```", PAGES[page], re.DOTALL)
    return code


@pytest.mark.parametrize(("path", "code"), QUOTES)
def test_a_quotation_is_in_its_file(path, code):
    """Every line of it stands there."""
    assert code in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python_is_quoted_or_run(page):
    """No block of a page is without a test."""
    marked = re.findall(r"<!-- (?:from|rule|drafter): \S+ -->\n```python\n", PAGES[page])
    assert len(marked) == PAGES[page].count("```python\n") > 3


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page):
    """Paths count from the repository's root, in text, code and marks."""
    named = set(re.findall(r"\b(?:specprof|tests|benchmarks|docs)/[\w/]+\.\w+", PAGES[page]))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def diagnosed(tmp_path, events):
    """Return the text report's line for the page's rule."""
    folder = tmp_path / "mine"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "limit_passed.py").write_text(shown("rule", "rule: limit_passed.py"))
    capture = captures.write(tmp_path / "run.jsonl", events)
    command = [sys.executable, "-m", "specprof", "diagnose", str(capture), "--json"]
    ended = subprocess.run([*command, "--plugins", str(folder)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    (diagnosis,) = msgspec.json.decode(ended.stdout)["diagnoses"]
    (verdict,) = [each for each in diagnosis["verdicts"] if each["rule"] == "limit-passed"]
    return verdict["outcome"]


def with_limit(events, limit):
    """Return the events of a run that had this limit set."""
    header, *rest = events
    assert isinstance(header, Header)
    settings = replace(header.spec.settings, max_new_tokens=limit)
    return [replace(header, spec=replace(header.spec, settings=settings)), *rest]


@pytest.mark.parametrize(("less", "outcome"), [(0, "clear"), (1, "found")])
def test_the_pages_rule_judges(tmp_path, less, outcome):
    """It runs as a plug-in, on a run at its limit and on a run one token past it."""
    limit = captures.SMALL_SETTINGS["max_new_tokens"]
    assert diagnosed(tmp_path, with_limit(captures.events(), limit - less)) == outcome


def test_the_pages_drafter_is_lossless():
    """Its greedy text is plain greedy text, and in a loop of one token its drafts are accepted."""
    space = {}
    exec(shown("drafter", "drafter: RepeatLast"), space)  # noqa: S102 - the page's own code
    made = space["RepeatLast"]
    assert issubclass(made, Drafter)
    table = torch.eye(5)
    wired = engines.loop(TableDecoder(table), drafter=made, depth=3)
    plain = engines.loop(TableDecoder(table), depth=0)
    committed, rounds = engines.decode(wired, new_tokens=12)
    assert committed == engines.decode(plain, new_tokens=12)[0]
    assert max(one.accepted for one in rounds) == 3
    mixed = torch.randn(5, 5, generator=torch.Generator().manual_seed(3))
    wired = engines.loop(TableDecoder(mixed), drafter=made, depth=3)
    plain = engines.loop(TableDecoder(mixed), depth=0)
    both = [engines.decode(each, new_tokens=20)[0] for each in (wired, plain)]
    assert both[0] == both[1]
