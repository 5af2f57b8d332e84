"""The angles a model turns by are compared with those it was configured for."""

import pytest

import captures
from astray import judged, replace
from specprof.errors import MissingEvidence
from specprof.findings import Clear

RULE = "rope-not-as-configured"


def turning(target, draft, asked=(1.0, 0.1, 0.01)):
    header, *rest = captures.events()
    asked = [*asked]
    facts = {
        "target": replace(header.target, rotation=target, rotation_configured=asked),
        "draft": replace(header.draft, rotation=draft, rotation_configured=asked),
    }
    return [replace(header, **facts), *rest]


def test_a_scaling_left_out_is_found():
    """Of the draft; and rounding is none."""
    finding = judged(RULE, turning([1.0, 0.1, 0.01], [2.0, 0.2, 0.02])).finding
    assert finding.suspects == ("pos/draft-rope-scaling-missing",)
    assert "rotary angles are 2 times" in finding.message
    assert isinstance(judged(RULE, turning([1.0, 0.1, 0.01], [1.0, 0.1000001, 0.01])), Clear)


def test_angles_that_are_not_known_are_not_judged():
    """Neither model has any."""
    with pytest.raises(MissingEvidence, match="rotary"):
        judged(RULE, turning([], []))


@pytest.mark.parametrize("asked", [0.0, 1e-320])
def test_a_pair_that_is_not_to_turn_has_no_factor(asked):
    """An angle of nothing, or of next to nothing, is left out; of nothing else, nothing is said."""
    assert isinstance(judged(RULE, turning([1.0, 0.1], [1.0, 0.1], [1.0, asked])), Clear)
    with pytest.raises(MissingEvidence, match="rotary"):
        judged(RULE, turning([0.1], [0.1], [asked]))
