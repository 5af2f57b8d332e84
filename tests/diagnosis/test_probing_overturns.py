"""What a probe's outcome may take back: no stronger finding than its own."""

import pytest

import captures
from astray import LONG, astray
from specprof import registry
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.decision_table import place
from specprof.diagnosis import diagnose
from specprof.diagnosis.diagnose import Diagnosis, Verdict, sum_up
from specprof.diagnosis.probing import Choice, _add_verdict
from specprof.extend import Probe
from specprof.findings import Clear, Finding, Found, Stage, Unknown


def fed(events):
    columns = Columns()
    columns.feed(events)
    return Evidence(columns, name="run")


def taken(fault="none"):
    return fed(captures.events(fault, **LONG))


def made_up(*verdicts):
    return Diagnosis("run", "", None, None, verdicts)


def bug(rule, place, family="bug"):
    return Verdict(rule, family, Found(finding=Finding(message="x", measures=(), remedy="")), place)


def test_a_clear_recompute_leaves_a_wrong_state_standing():
    """A further run that went well takes nothing back that the capture itself shows."""
    capture = taken("draft-cache-short")
    before = diagnose(capture)
    verdict = Verdict("recompute", "bug", Clear(detectable="x"), probe=True)
    after = sum_up(capture, [*before.verdicts, verdict])
    assert after.leading == before.leading
    assert before.leading.rule == "cache-length-wrong"
    assert before.leading.finding.message in after.sentence


class Explains(Probe):
    """Says that it explains the findings of two rules."""

    corrects = frozenset({"target-state-drifts", "drafts-mismatched"})
    family = "measurement"
    stage = Stage.TARGET_STATE

    def runs(self, header):
        return [header.spec.settings]

    def judge(self, evidence, runs):
        return Found(finding=Finding(message="plain decoding is odd", measures=(), remedy=""))


@pytest.mark.parametrize("family", ["measurement", "bug", "mismatch"])
def test_a_probe_overturns_no_stronger_finding(family):
    """Neither an earlier one, nor a bug by what is none. It leads a bug only if it is one."""
    capture, probe = taken(), Explains()
    probe.family = family
    state = bug("target-state-drifts", place("target-state-drifts", Stage.TARGET_STATE))
    cause = bug("drafts-mismatched", place("drafts-mismatched", Stage.MISMATCH), "mismatch")
    choice = Choice("baseline-twice", probe, [], 0.0, "")
    outcome = probe.judge(capture, [])
    after = _add_verdict(made_up(state, cause), capture, choice, outcome)
    assert [each.rule for each in after.found] == ["target-state-drifts", "baseline-twice"]
    assert after.leading.rule == "target-state-drifts"
    late = bug("output-not-greedy", place("output-not-greedy", Stage.EMISSION))
    lead = _add_verdict(made_up(late), capture, choice, outcome).leading.rule
    assert lead == ("baseline-twice" if family == "bug" else "output-not-greedy")


def test_a_run_in_float32_clears_no_law_that_is_far_off():
    """Rounding moves laws a little."""
    for gap, kind in ((0.12, Clear), (0.9, Unknown)):
        capture = fed(astray("draft", lambda one: one.index > 0, gap=gap))
        run = taken()
        assert isinstance(registry.get(Probe, "dtype")().judge(capture, [run]), kind)
