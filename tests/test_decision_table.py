"""Which of several findings leads: one order over all rules and probes."""

import json
from dataclasses import replace
from pathlib import Path

from specprof import registry
from specprof.catalogue import cases
from specprof.decision_table import NAMES, TABLE, place
from specprof.diagnosis.diagnose import Diagnosis, _rules
from specprof.diagnosis.verdict import Verdict
from specprof.extend import Probe, Rule
from specprof.findings import Finding, Found, Stage

ROOT = Path(__file__).parents[1]
LEADING = [
    "capture-contradicts-itself",
    "limit-overshot",
    "nothing-proposed",
    "text-goes-past-stop",
    "token-outside-vocabulary",
    "drafts-constant",
    "logits-not-finite",
    "accepted-not-committed",
    "cache-length-wrong",
    "emitted-count-broken",
    "target-state-drifts",
    "baseline-twice",
    "another-accept-rule",
    "drafts-not-drawn",
    "accept-rule-unfair",
    "draft-law-differs",
    "final-law-differs",
    "output-not-greedy",
    "residual-unsupported",
    "output-law-differs",
    "head-scan",
    "draft-state-drifts",
    "recompute",
    "temp-zero",
    "self-draft-disagrees",
    "dtype",
    "self-draft",
    "perturbed-self",
    "temperature-extremes",
    "k-sweep",
    "rope-not-as-configured",
    "vocabularies-differ",
    "worse-than-constant",
    "state-rounded",
    "near-ties-flipped",
    "position-offset",
    "position-range-exceeded",
    "short-view",
    "position-gap",
    "window-sweep",
    "repetition-text",
    "draft-ladder",
    "drafts-mismatched",
    "extra-target-forwards",
    "too-little-drafted",
    "cache-holds-too-much",
    "drafting-given-up",
    "depth-change-slow",
    "host-gap-large",
    "draft-step-slow",
    "plain-rounds-slow",
    "verification-expensive",
    "draft-too-expensive",
    "depth-too-deep",
    "no-speedup",
    "capture-incomplete",
    "clock-coarse",
    "round-too-cheap",
    "rows-processed",
    "text-loops",
    "too-few-rounds",
    "warm-up-included",
    "shifted-control",
    "run-contended",
]
"""The order of the first decision table's float rows, with ties decided by family and name."""


def verdicts():
    """Return a finding of every rule and every probe, in a diagnosis's order."""
    found = Found(finding=Finding(message="x", measures=(), remedy=""))
    rules = [(name, rule, False) for name, rule in _rules(())]
    probes = [(name, probe, True) for name, probe in registry.load_usable(Probe).items()]
    return [
        Verdict(name, one.family, found, place(name, one.stage), probe=probe)
        for name, one, probe in [*rules, *probes]
    ]


def test_of_all_that_is_built_in_the_findings_lead_in_this_order():
    """Each time the leading finding is removed, the next one leads, ties included."""
    rest, led = verdicts(), []
    able = [each for each in rest if not (each.probe and each.family != "bug")]
    while able:
        led.append(Diagnosis("run", "", None, None, tuple(able)).leading)
        able.remove(led[-1])
    assert [each.rule for each in led] == [
        name for name in LEADING if name in {e.rule for e in led}
    ]
    assert [each.rule for each in sorted(rest, key=lambda each: each.place)] == LEADING


def test_a_probe_that_found_no_bug_leads_no_bug():
    """What an experiment says of the measurement withdraws no bug that the capture shows."""
    for probe in (each for each in verdicts() if each.probe and each.family != "bug"):
        bug = next(each for each in verdicts() if each.family == "bug" and not each.probe)
        late = replace(bug, place=probe.place + 1)
        assert Diagnosis("run", "", None, None, (probe, late)).leading is late


def test_every_drill_that_was_played_is_led_by_the_same_finding():
    """The matrix of all faults and controls was played before there was a table."""
    matrix = ROOT / "benchmarks" / "results" / "diagnosis.json"
    drills = json.loads(matrix.read_text(encoding="utf-8"))["drills"]
    assert len(drills) > 300
    for drill in drills:
        leading = min(drill["found"], key=NAMES.index, default=None)
        assert leading == drill["leading"], drill["name"]


def judges():
    """Return every built-in rule and probe by name."""
    return registry.load_usable(Rule) | registry.load_usable(Probe)


def test_each_built_in_judge_is_listed_once_at_the_stage_that_it_says():
    """The table lists nothing else."""
    stages = {name: group.stage for group in TABLE for name in group.judges}
    assert stages == {name: each.stage for name, each in judges().items()}
    assert len(NAMES) == len(set(NAMES))


def test_the_table_has_every_stage_once_in_order():
    """Each has a sentence that says why it stands there."""
    assert [group.stage for group in TABLE] == list(Stage)
    for group in TABLE:
        assert group.why.endswith(".")
        assert 40 < len(group.why) < 100


def test_what_is_not_listed_stands_last_in_its_stage():
    """It stands before the next stage; a judge without a stage stands after all."""
    for group in TABLE:
        others = [place(each, group.stage) for each in group.judges]
        assert max(others) < place("mine", group.stage) < max(others) + 1
    assert place("mine", None) > place("mine", Stage.MEASUREMENT)


def test_a_listed_name_does_not_carry_its_place_to_another_stage():
    """The judge's own stage counts."""
    assert place("limit-overshot", Stage.COST) == place("mine", Stage.COST)


def test_every_stage_of_a_case_has_a_judge():
    """Otherwise the catalogue would name a stage at which nothing can show."""
    judged = {group.stage for group in TABLE if group.judges}
    assert {each.group for each in cases().values()} <= judged


def test_the_page_has_the_table():
    """docs/diagnosis.md lists the stages in order, with the sentence of each."""
    page = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    rows = [f"| {group.stage.value} | {group.why} |\n" for group in TABLE]
    assert "".join(rows) in page
