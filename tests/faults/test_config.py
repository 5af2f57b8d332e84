"""Faults of configuration: the draft reads another prompt than the target."""

from drilled import assert_still, play_drill


def test_a_foreign_template_costs_acceptance_and_leaves_the_state_sound(family):
    """The draft's recheck reads what the draft read; what it is owed is less."""
    name, long = "config/chat-template-mismatch", 160
    run, sound = play_drill(family, name, context=long), play_drill(family, None, context=long)
    for role in ("target", "draft"):
        assert_still(run, role)
    assert owed(run) < owed(sound)


def owed(run):
    places = [place.overlap for _, place in run.places]
    return sum(places) / len(places)
