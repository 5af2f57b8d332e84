"""Faults of vocabularies: an id that means one thing here and another there."""

from drilled import assert_still, play_drill
from specprof.records import Header


def test_misplaced_ids_lower_acceptance_and_show_in_the_header(family):
    """The tables' checksums part; nothing is wrong with either state."""
    run, sound = play_drill(family, "vocab/different-tokenizer"), play_drill(family, None)
    assert run.accepted_frac < sound.accepted_frac
    for role in ("target", "draft"):
        assert_still(run, role)
    header = next(each for each in run.events if isinstance(each, Header))
    assert header.draft.vocabulary_sha != header.target.vocabulary_sha
