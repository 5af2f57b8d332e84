"""A second forward of the target is a cost: how many, in which rounds, and how long they take."""

import msgspec
import pytest

import captures
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.diagnosis import diagnose
from specprof.records import Round

replace = msgspec.structs.replace
MS = 1_000_000


def judged(change):
    """Diagnose a healthy run whose rounds were changed by a function of the round."""
    events = captures.events(temperature=0.0, context=1500, stops=4, max_new_tokens=80)
    columns = Columns()
    columns.feed(captures.agreeing([change(e) if isinstance(e, Round) else e for e in events]))
    found = diagnose(Evidence(columns)).found
    return {each.rule: each for each in found}


def slow_if(wanted, ms=3):
    """Return a change: rounds that `wanted` picks take a second forward, and so many ms more."""

    def change(one):
        if not one.drafted:
            return one
        spans = [span for span in one.spans if not wanted(one)]
        wall = 10 * MS + (ms * MS if wanted(one) else 0)
        return replace(one, target_forwards=1 + wanted(one), wall_ns=wall, spans=spans)

    return change


def fell(one):
    return one.accepted < sum(each.reached for each in one.drafted)


def test_a_second_forward_after_a_rejection_is_a_cost():
    """Its share of the rounds is named, and no bug is found."""
    found = judged(slow_if(fell))
    verdict = found["extra-target-forwards"]
    assert verdict.family == "cost"
    assert not any(each.family == "bug" for each in found.values())
    assert "a second one in" in verdict.finding.message
    assert "all of them with a rejection" in verdict.finding.message
    forwards, share, time = verdict.finding.measures
    assert forwards.value == pytest.approx(1 + share.value)
    assert time.value == pytest.approx(3 * share.value)
    assert time.unit == "ms"


def test_no_time_is_named_where_the_rounds_take_no_longer():
    """A difference below zero is noise."""
    finding = judged(slow_if(fell, ms=-3))["extra-target-forwards"].finding
    assert [each.unit for each in finding.measures] == ["", ""]
    assert " ms" not in finding.message


def test_a_second_forward_in_every_round_is_named_as_such():
    """The drill's own fault."""
    finding = judged(lambda one: replace(one, target_forwards=2))["extra-target-forwards"].finding
    assert "2.00 forward passes a round instead of one: a second one in every" in finding.message
