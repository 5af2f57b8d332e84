"""The draft's wrong state is named by where it shows."""

import pytest

import captures
from astray import LONG, astray, judged, replace
from specprof.diagnosis.rules._states import PREFILL_CHUNK_TOKENS
from specprof.errors import MissingEvidence
from specprof.records import Recheck, Round

RULE = "draft-state-drifts"


def rounds(events):
    return [each for each in events if isinstance(each, Round)]


def test_a_chunk_is_the_engines():
    """The length is told in both places."""
    from specprof.engine.decoder import PREFILL_CHUNK

    assert PREFILL_CHUNK_TOKENS == PREFILL_CHUNK


def test_later_indices_only_is_a_stale_length():
    """The first draft of every round is right."""
    finding = judged(RULE, astray("draft", lambda one: one.index > 0)).finding
    assert finding.suspects[0] == "kv/padded-drafter-seqlen-stale"
    assert "at every draft index but the first" in finding.message
    assert finding.where.index == 1


def test_throughout_is_a_wrong_position():
    """From the first place on."""
    finding = judged(RULE, astray("draft", lambda one: True)).finding
    assert finding.suspects == ("pos/draft-position-off-by-one",)


def test_every_burst_but_the_first_is_a_leak():
    """Astray as they begin."""
    events = captures.events(**LONG)
    first = {each.index for each in rounds(events) if each.burst == 0}
    finding = judged(RULE, astray("draft", lambda one: one.round not in first, events=events))
    assert finding.finding.suspects == ("kv/draft-cache-leaks-across-requests",)


def test_planted_causes_are_named_by_the_synthetic_engine():
    """A hole after an all-accepted round, and holes after rejections."""
    holed = judged(RULE, captures.events("draft-last-missing", **LONG)).finding
    assert holed.suspects == ("kv/draft-last-proposal-missing",)
    short = judged(RULE, captures.events("draft-cache-short", **LONG)).finding
    assert "from a rejection on" in short.message
    assert short.where.event == "after a rejection"


def test_a_draft_without_a_recheck_is_not_said_to_be_clear():
    """Nothing can say again what its law was."""
    events = astray("draft", lambda one: False)
    blind = [
        replace(
            e,
            places=[
                replace(one, draft_gap=None, draft_prob=None, overlap=None) for one in e.places
            ],
        )
        if type(e).__name__ == "Recheck"
        else e
        for e in events
    ]
    with pytest.raises(MissingEvidence, match="none of the draft's answers"):
        judged(RULE, blind)


def test_one_clean_sequence_of_a_batch_is_a_map_of_rows():
    """The rows of a batch are astray by whose they are."""
    events = captures.events(**(LONG | {"batch": 2, "stops": 4}))
    second = {e.index for e in events if type(e).__name__ == "Round" and e.sequence == 1}
    finding = judged(RULE, astray("draft", lambda one: one.round in second, events=events)).finding
    assert finding.suspects == ("kv/index-map-stale-after-step0",)


def test_two_probabilities_that_look_alike_are_not_shown_as_different():
    """The law is wrong at other tokens than the drafted one."""
    made = astray("draft", lambda one: True)
    alike = [
        replace(each, places=[replace(one, draft_prob=0.99) for one in each.places])
        if isinstance(each, Recheck)
        else _with_draft_prob(each, 0.991)
        for each in made
    ]
    message = judged(RULE, alike).finding.message
    assert "the laws used and recomputed are 0.4 apart" in message
    assert "0.99 used" not in message


def _with_draft_prob(event, prob):
    if not isinstance(event, Round):
        return event
    drafted = [
        replace(one, seen=replace(one.seen, draft_prob=prob)) if one.seen else one
        for one in event.drafted
    ]
    return replace(event, drafted=drafted)
