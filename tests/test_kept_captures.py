"""Captures of every release are read and judged for ever: docs/capture-format.md promises it.

`tests/support/kept.py` made them, once. The numbers beside them are those of the release that wrote
them; a change to a number breaks the promise.
"""

import json
from pathlib import Path

import pytest

from specprof.analysis import attribution
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.capture import read_capture
from specprof.diagnosis import diagnose
from specprof.findings import Crashed, Found
from specprof.records import SCHEMA, Round

DATA = Path(__file__).parent / "data"
FIGURES = json.loads((DATA / "kept.json").read_text(encoding="utf-8"))
KINDS = ("chain", "record", "sampled", "tree")


def figures(path):
    """Return a capture's key numbers, counted and judged."""
    columns = read_columns(path).columns
    evidence = Evidence(columns)
    return {
        "rounds": len(columns.rounds),
        "drafted": int(columns.rounds.drafted.sum()),
        "accepted": int(columns.rounds.accepted.sum()),
        "emitted": int(columns.rounds.emitted.sum()),
        "overlap": float(columns.places.overlap.mean()),
        "wall_ns": int(columns.rounds.wall_ns.sum()),
        "rechecked": len(columns.rechecked),
        "rescored": len(columns.rescored),
        "chain": chain(evidence),
        "found": sorted(each.rule for each in diagnose(evidence).verdicts if found(each)),
    }


def chain(evidence):
    """Return the attribution of a capture's rejections."""
    found = attribution.attribute(evidence)
    parts = [found.rejected, found.mismatch, *found.brackets]
    return {part.name: part.frac.value for part in parts}


def found(verdict):
    assert not isinstance(verdict.outcome, Crashed), verdict
    return isinstance(verdict.outcome, Found)


@pytest.mark.parametrize("name", FIGURES)
def test_a_kept_capture_has_its_numbers_still(name):
    """It is read without a damaged line, judged without a crash, and every figure is unchanged."""
    read = read_capture(DATA / name)
    assert (len(read.damaged), read.torn, read.state) == (0, False, "complete")
    told, kept = figures(DATA / name), FIGURES[name]
    assert told.pop("chain") == pytest.approx(kept["chain"])
    assert set(kept["found"]) <= set(told.pop("found"))  # a new rule may find more
    assert told == pytest.approx({figure: kept[figure] for figure in told})


def test_each_kind_of_run_is_kept_for_this_schema():
    """A new schema number needs files of its own, and each file is small."""
    files = {path.name for path in DATA.glob("schema-*-*.jsonl")}
    assert {f"schema-{SCHEMA}-{kind}.jsonl" for kind in KINDS} <= files == set(FIGURES)
    assert all((DATA / name).stat().st_size < 60_000 for name in files)


def test_the_files_hold_what_they_are_kept_for():
    """Each has evidence, the tree has branches, the sampled batch has two sequences."""
    rounds = {
        kind: [e for e in read_capture(DATA / f"schema-1-{kind}.jsonl").events if type(e) is Round]
        for kind in KINDS
    }
    for kind in KINDS:
        assert any(one.seen for each in rounds[kind] for one in each.drafted)
    tree = [[one.parent for one in each.drafted] for each in rounds["tree"]]
    assert any(parents != list(range(-1, len(parents) - 1)) for parents in tree)
    assert {each.sequence for each in rounds["sampled"]} == {0, 1}
    assert len({len(each.drafted) for each in rounds["sampled"]}) > 1
