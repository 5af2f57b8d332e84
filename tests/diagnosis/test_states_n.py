"""Every finding says how much it rests on: a rate has its n, and counts are whole."""

import ast
import re
from pathlib import Path

import pytest

import captures
import specprof.diagnosis
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.backends._tables import FAULTS
from specprof.diagnosis import diagnose
from specprof.diagnosis.report import format_measure
from specprof.findings import Clear, Measure

FOLDER = Path(specprof.diagnosis.__file__).parent
FILES = sorted([*FOLDER.glob("rules/*.py"), *FOLDER.glob("probes/*.py")])
NOT_RATES = {
    "draft / target, layers or bytes": "a ratio of sizes",
    'f"the {each}\'s angle per configured angle"': "a ratio of two settings",
    "tokens off per round": "every round is counted; the finding's exact count stands beside it",
    "nats moved per place of text": "a difference of two runs, whose own n stand beside it",
}
"""Names that read like a rate of observations and are none."""
LONG = {"stops": 8, "max_new_tokens": 160, "context": 4000}


def rates(path):
    """Yield the name of each measure that is a rate, and whether it states n."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Measure":
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            name = given["name"].strip("'")
            if " per " in name or " / " in name:
                yield name, "n" in given


@pytest.mark.parametrize("path", FILES, ids=[each.stem for each in FILES])
def test_a_rate_states_its_n(path):
    """Ten rounds of nothing are not evidence: a reader must see how many there were."""
    silent = [name for name, stated in rates(path) if not stated and name not in NOT_RATES]
    assert silent == []


def findings(fault, **settings):
    columns = Columns()
    columns.feed(captures.events(fault, **(LONG | settings)))
    return [each.finding for each in diagnose(Evidence(columns)).found]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_finding_of_a_drill_rests_on_a_stated_number(fault, temperature):
    """A measure with its n, or an exact count, which is whole and has no interval."""
    for finding in findings(fault, temperature=temperature):
        counts = [each for each in finding.measures if each.value == int(each.value)]
        exact = [each for each in counts if each.low is None and each.unit in ("", "tokens")]
        assert any(each.n is not None for each in finding.measures) or exact, finding.message
        for each in finding.measures:
            assert each.n is None or each.n > 0, each.name


@pytest.mark.parametrize(
    "settings", [{"stops": 1, "max_new_tokens": 8}, {"depth": 0, "drafter": "none", "draft": None}]
)
def test_a_short_run_and_a_baseline_state_theirs(settings):
    """Too few rounds are counted."""
    for finding in findings("none", **settings):
        assert any(each.n or each.value == int(each.value) for each in finding.measures)


def test_n_is_printed_in_its_unit():
    """And without one where the name says what is counted."""
    whole = Measure(name="gap per round", value=2.0, unit="ms", n=1_200, counted="rounds")
    assert format_measure(whole) == "gap per round: 2 ms, n = 1,200 rounds"
    assert format_measure(Measure(name="x", value=1.0, n=3)) == "x: 1, n = 3"


COUNTED = re.compile(r"\b[\d,]+ (rounds|tokens|places|verify passes|s|forwards|reached drafts)\b")


@pytest.mark.parametrize("settings", [{}, {"depth_policy": "confidence"}, {"batch": 3}])
def test_clear_of_a_cost_or_of_the_measurement_says_over_how_many(settings):
    """Nothing seen in ten rounds is another answer than nothing seen in a thousand."""
    columns = Columns()
    columns.feed(captures.events(**(LONG | settings)))
    clear = {
        each.rule: each.outcome.detectable
        for each in diagnose(Evidence(columns)).verdicts
        if each.family in ("cost", "measurement") and isinstance(each.outcome, Clear)
    }
    whole = {"capture-contradicts-itself", "capture-incomplete"}  # they look at the file
    assert len(clear) > 8
    assert {rule: said for rule, said in clear.items() if not COUNTED.search(said)}.keys() <= whole
