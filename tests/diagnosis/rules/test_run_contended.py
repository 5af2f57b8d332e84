"""A run beside busy neighbours says so, and no cost is judged by its times."""

import msgspec
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.diagnosis import diagnose
from specprof.diagnosis.diagnose import _rules
from specprof.diagnosis.report import lines
from specprof.findings import Clear, Found, Unknown
from specprof.records import Sample

replace = msgspec.structs.replace
LONG = {"stops": 4, "max_new_tokens": 160, "context": 4000}


def crowded(fault, waited_frac, **settings):
    """Return the diagnosis of a run whose loop waited this share of its time for a processor."""
    events = captures.events(fault, **(LONG | settings))
    first, last = (
        [each for each in events if isinstance(each, Sample)][place] for place in (0, -1)
    )
    span = last.at_ns - first.at_ns

    def counted(one):
        went = one.at_ns - first.at_ns
        return replace(
            one,
            loop_ran_ns=int(went * (1 - waited_frac)),
            loop_waited_ns=int(went * waited_frac),
            processor_ns=int(went * (1 - waited_frac)),
            preempted=went // 10_000_000,
        )

    assert span > 0
    columns = Columns()
    columns.feed([counted(each) if isinstance(each, Sample) else each for each in events])
    return diagnose(Evidence(columns))


def outcomes(diagnosis):
    return {each.rule: each.outcome for each in diagnosis.verdicts}


TIMED = [name for name, rule in _rules(()) if rule.judges_times]


def test_a_contended_run_says_so_and_withholds_costs():
    """The finding names the share, the switches and the ratio of times; the sentence warns."""
    diagnosis = crowded("slow-draft", 0.4)
    finding = outcomes(diagnosis)["run-contended"].finding
    assert "others used the processors" in finding.message
    assert "100 involuntary switches a second" in finding.message
    values = {each.name: each.value for each in finding.measures}
    assert values["wall time / processor time of the process"] == pytest.approx(1 / 0.6, rel=0.01)
    assert values["difference of equal verify passes, per pass, median"] >= 0
    for name in TIMED:
        assert isinstance(outcomes(diagnosis)[name], Unknown)
        assert "others used the processors" in outcomes(diagnosis)[name].reason
    assert "Trust no time here: others used the processors" in diagnosis.sentence
    assert "Speed:" not in diagnosis.sentence
    assert diagnosis.prospects is None


def test_a_bug_is_named_on_a_contended_run_too():
    """Laws and counts don't depend on times."""
    diagnosis = crowded("always-accept", 0.4, stops=8)
    assert diagnosis.leading.family == "bug"
    quiet = outcomes(crowded("always-accept", 0.0, stops=8))
    for name, outcome in outcomes(diagnosis).items():
        if name not in {*TIMED, "run-contended"}:
            assert outcome == quiet[name]


def test_a_quiet_run_is_judged_as_ever():
    """Little waiting changes no verdict."""
    diagnosis, plain = crowded("slow-draft", 0.02), crowded("slow-draft", 0.0)
    assert isinstance(outcomes(diagnosis)["run-contended"], Clear)
    assert isinstance(outcomes(diagnosis)["draft-step-slow"], Found)
    assert diagnosis.prospects == plain.prospects


def test_an_older_capture_is_unknown_here_and_judged_elsewhere():
    """Its samples have no counters."""
    columns = Columns()
    columns.feed(captures.events("slow-draft", **LONG))
    diagnosis = diagnose(Evidence(columns))
    assert "was not recorded" in outcomes(diagnosis)["run-contended"].reason
    assert isinstance(outcomes(diagnosis)["draft-step-slow"], Found)


def test_every_rule_of_the_cost_stage_that_is_statistical_says_whether_it_judges_times():
    """Only the volume of drafts is judged by counts."""
    silent = [
        name
        for name, rule in _rules(())
        if rule.family == "cost" and rule.statistical and not rule.judges_times
    ]
    assert silent == ["too-little-drafted"]
    assert len(TIMED) == 8


def test_the_report_prints_no_prospects():
    """Neither remedy nor roof is computed from such times."""
    text = "\n".join(line.text for line in lines(crowded("none", 0.4)))
    assert "what each remedy alone could gain" not in text
    assert "run-contended" in text


@pytest.mark.parametrize(("waited_frac", "timed"), [(0.0, True), (0.4, False)])
def test_extra_forwards_are_counted_and_their_time_is_named_only_where_it_can_be_trusted(
    waited_frac, timed
):
    """The count is exact on any machine."""
    finding = outcomes(crowded("two-target-forwards", waited_frac))["extra-target-forwards"].finding
    assert "2.00 forward passes a round" in finding.message
    assert (" ms " in finding.message) is timed
