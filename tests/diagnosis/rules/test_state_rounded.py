"""Coarser arithmetic than declared is told from a wrong state by how evenly it falls."""

import pytest

from astray import astray, judged, replace
from judging import bugs
from specprof.findings import Clear, Found, Unknown
from specprof.records import Recheck

RULE = "state-rounded"


def everywhere(one):
    return True


@pytest.mark.parametrize("side", ["target", "draft"])
def test_a_little_off_everywhere_is_rounding(side):
    """No bug is found, and the rule of state says who knows better."""
    events = astray(side, everywhere, gap=0.02)
    finding = judged(RULE, events).finding
    assert f"the {side}'s answers are off by 2.00%" in finding.message
    outcome = judged(f"{side}-state-drifts", events)
    assert isinstance(outcome, Unknown)
    assert RULE in outcome.reason
    assert bugs(events) == []


@pytest.mark.parametrize("side", ["target", "draft"])
def test_a_little_off_at_some_places_only_is_a_wrong_state(side):
    """Rounding spares no place."""
    events = astray(side, lambda one: one.index == 1, gap=0.02)
    assert isinstance(judged(RULE, events), Clear)
    assert isinstance(judged(f"{side}-state-drifts", events), Found)


@pytest.mark.parametrize("side", ["target", "draft"])
def test_far_off_everywhere_is_a_wrong_state(side):
    """However evenly."""
    events = astray(side, everywhere, gap=0.2)
    assert isinstance(judged(RULE, events), Clear)
    assert isinstance(judged(f"{side}-state-drifts", events), Found)


def test_one_model_rounded_does_not_hide_the_others_wrong_state():
    """Each is judged by itself."""
    events = astray("draft", everywhere, gap=0.02)
    both = [
        replace(one, places=[replace(place, target_gap=0.4) for place in one.places])
        if isinstance(one, Recheck)
        else one
        for one in events
    ]
    assert bugs(both) == ["target-state-drifts"]
    assert isinstance(judged(RULE, both), Found)
