"""The worked example: a loop of one's own over two Hugging Face models, sound and broken."""

import importlib.util

import pytest

from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.capture import read_capture
from specprof.diagnosis import diagnose

SUSPECTS = {
    "draft-keeps-rejected": "kv/draft-rollback-under-trim",
    "correction-from-target": "accept/residual-not-subtracted",
}


@pytest.fixture(scope="module")
def example():
    path = registry.shipped_folder("plugins") / "recorded_loop.py"
    spec = importlib.util.spec_from_file_location("recorded_loop", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def diagnosed(example, path, bug, bursts):
    example.run(path, bug, bursts=bursts, new=24)
    capture, columns = read_capture(path), Columns()
    columns.feed([capture.header, *capture.events])
    return diagnose(Evidence(columns, name=str(path)))


def test_the_sound_loop_shows_no_bug(example, tmp_path):
    """150 tokens, rechecked; every number of it fits."""
    diagnosis = diagnosed(example, tmp_path / "run.jsonl", None, bursts=6)
    assert [each.rule for each in diagnosis.found if each.family == "bug"] == []
    assert diagnosis.attribution.rechecked_frac > 0.9


def test_every_bug_of_the_example_is_known_here(example):
    """None goes untested."""
    assert set(example.BUGS) == set(SUSPECTS)


@pytest.mark.parametrize("bug", SUSPECTS)
def test_a_bug_is_named(example, tmp_path, bug):
    """By the leading finding, as the catalogue calls it."""
    leading = diagnosed(example, tmp_path / "run.jsonl", bug, bursts=3).leading
    assert leading.family == "bug"
    assert SUSPECTS[bug] in leading.finding.suspects
