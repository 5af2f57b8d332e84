"""What captures of every kind are diagnosed and compared as stays the same, number for number."""

import json
import math
from pathlib import Path

import pytest

import captures
from specprof.analysis.comparison import compare
from specprof.analysis.evidence import Evidence
from specprof.analysis.recorded import read_columns
from specprof.analysis.sweep_cells import read_cells
from specprof.cli._table import document
from specprof.diagnosis import diagnose
from specprof.diagnosis.report import document as report

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden" / "verdicts.json").read_text(encoding="utf-8"))
"""As they were before captures were read and judged in pieces."""
SAMPLED = {"temperature": 1.0, "stops": 6, "max_new_tokens": 150}
MADE = {
    "healthy": {**SAMPLED},
    "greedy": {**SAMPLED, "temperature": 0.0},
    "draft-state": {"fault": "draft-state", **SAMPLED},
    "too-strict": {"fault": "too-strict", **SAMPLED},
    "batched-trees": {
        "temperature": 1.0,
        "batch": 3,
        "stops": 4,
        "max_new_tokens": 80,
        "shape": "static-tree",
    },
}
FILES = {
    "schema-1": HERE.parent / "data" / "schema-1.jsonl",
    "run": HERE.parent / "tui" / "golden" / "run.jsonl",
}


def hold(told, golden, where=""):
    """Assert that everything golden is told still; new names, and new rules, may stand beside."""
    if isinstance(golden, dict):
        for name, value in golden.items():
            hold(told[name], value, f"{where}/{name}")
    elif where.endswith("/verdicts"):
        by_rule = {each["rule"]: each for each in told}
        for each in golden:
            hold(by_rule[each["rule"]], each, f"{where}/{each['rule']}")
    elif isinstance(golden, list):
        assert len(told) == len(golden), where
        for place, (one, other) in enumerate(zip(told, golden, strict=True)):
            hold(one, other, f"{where}[{place}]")
    elif isinstance(golden, float):
        assert math.isclose(told, golden, rel_tol=1e-9, abs_tol=1e-12), where
    else:
        assert told == golden, where


@pytest.mark.parametrize("name", GOLDEN)
def test_verdicts_and_figures_stay_as_they_were(tmp_path, name):
    """Chains and trees, greedy and drawn, healthy and broken, and files of an earlier version."""
    path = FILES.get(name) or captures.write(tmp_path / "run.jsonl", captures.events(**MADE[name]))
    told = json.loads(report([diagnose(Evidence(read_columns(path).columns))]))
    hold(told["diagnoses"][0], GOLDEN[name]["diagnosis"])
    hold(json.loads(document(compare(read_cells([path]))))["cells"][0], GOLDEN[name]["cell"])
