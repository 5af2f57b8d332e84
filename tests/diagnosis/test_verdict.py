"""One cause is one finding: a consequence stands down until its cause is withdrawn."""

import pytest

from specprof import registry
from specprof.decision_table import place
from specprof.diagnosis.verdict import Verdict, stand_down
from specprof.extend import Rule
from specprof.findings import Clear, Explained, Finding, Found, Unknown

RULES = registry.load_usable(Rule)


def fired(rule, at, *, by=(), model=None, rests_on=None):
    finding = Finding(message=f"what {rule} saw", measures=(), remedy="", model=model)
    return Verdict(
        rule, "bug", Found(finding=finding), at, explained_by=frozenset(by), rests_on=rests_on
    )


def causes(*verdicts):
    return {each.rule: each.cause for each in stand_down(verdicts)}


def test_a_consequence_stands_down_and_keeps_what_it_saw():
    """What it saw is evidence for the cause, so it is kept."""
    length, state = fired("length", 1), fired("state", 2, by={"length"})
    judged = stand_down([length, state])
    assert judged[0] == length
    assert judged[1].outcome == Explained(by="length", finding=state.finding)
    assert judged[1].finding is None
    assert judged[1].consequence == state.finding


def test_the_order_of_verdicts_does_not_matter():
    """Rules judge by family, and lead by place."""
    length, state = fired("length", 1), fired("state", 2, by={"length"})
    assert [each.rule for each in stand_down([state, length])] == ["state", "length"]
    assert causes(state, length) == {"length": None, "state": "length"}


def test_what_did_not_fire_explains_nothing():
    """A rule that is clear or unknown is no cause."""
    for outcome in (Clear(detectable="one"), Unknown(reason="none")):
        length = Verdict("length", "bug", outcome, 1)
        assert causes(length, fired("state", 2, by={"length"}))["state"] is None


def test_two_faults_stay_two_findings():
    """Neither explains the other."""
    assert causes(fired("length", 1), fired("coin", 2)) == {"length": None, "coin": None}


def test_a_later_finding_explains_nothing():
    """Causes come before consequences, so that no circle can be."""
    assert causes(fired("text", 3), fired("state", 2, by={"text"}))["state"] is None


def test_the_first_cause_is_named_through_a_chain():
    """The text follows from the coin, and the coin from the numbers: the numbers are the cause."""
    numbers, coin = fired("numbers", 1), fired("coin", 2, by={"numbers"})
    assert causes(numbers, coin, fired("text", 3, by={"coin"}))["text"] == "numbers"


@pytest.mark.parametrize(
    ("model", "rests_on", "explained"),
    [
        ("draft", "target", False),
        ("target", "target", True),
        (None, "target", True),
        ("draft", None, True),
    ],
)
def test_a_wrong_state_explains_only_what_rests_on_that_model(model, rests_on, explained):
    """A draft's wrong state leaves the output's law as it is."""
    length = fired("length", 1, model=model)
    text = fired("text", 2, by={"length"}, rests_on=rests_on)
    assert (causes(length, text)["text"] == "length") is explained


def test_a_consequence_is_a_finding_again_once_its_cause_is_withdrawn():
    """A probe may overturn the cause: what it explained must not vanish with it."""
    _, state = stand_down([fired("length", 1), fired("state", 2, by={"length"})])
    withdrawn = Verdict("length", "bug", Unknown(reason="overturned by the probe x"), 1)
    again = stand_down([withdrawn, state])
    assert again[1].finding == state.consequence


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_explained_by_rules_of_earlier_places(name):
    """A circle would let two findings explain each other away."""
    rule = RULES[name]
    for cause in rule.explained_by:
        assert place(cause, RULES[cause].stage) < place(name, rule.stage)
