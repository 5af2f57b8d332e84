"""Which lengths are wrong, and when, names what went wrong with them."""

import pytest

import captures
from astray import LONG, judged, replace
from patterns import evidence, played
from specprof import limits, registry
from specprof.extend import Rule
from specprof.findings import Found, Unknown
from specprof.records import Round

RULE = "cache-length-wrong"


def lengthened(change, **settings):
    """Return a healthy run's events with other draft lengths."""
    return [
        replace(e, draft_length=change(e)) if isinstance(e, Round) else e
        for e in captures.events(**(LONG | settings))
    ]


@pytest.mark.parametrize(
    ("fault", "suspect"),
    [
        ("draft-cache-short", "kv/draft-rollback-over-trim"),
        ("draft-last-missing", "kv/draft-last-proposal-missing"),
        ("target-keeps-rejected", "kv/target-rejected-kept"),
    ],
)
def test_planted_lengths_name_their_case(fault, suspect):
    """With the first round that shows it, as it was and as it should be."""
    finding = judged(RULE, captures.events(fault, **LONG)).finding
    assert finding.suspects[0] == suspect
    assert finding.where.used != finding.where.clean


def test_an_emptied_cache_is_a_reset():
    """Nothing left where hundreds of tokens should be."""
    finding = judged(RULE, lengthened(lambda e: 0)).finding
    assert finding.suspects == ("kv/reset-instead-of-rollback",)


def test_what_a_burst_begins_with_is_a_leak_or_an_unfed_prompt():
    """Long from the second burst on, or short by much: the same in all of a burst's rounds."""
    leak = judged(RULE, lengthened(lambda e: e.draft_length + 100 * (e.burst > 0))).finding
    assert leak.suspects == ("kv/draft-cache-leaks-across-requests",)
    unfed = judged(RULE, lengthened(lambda e: e.draft_length - 512 * (e.context > 700))).finding
    assert unfed.suspects == ("kv/draft-not-primed-by-chunked-prefill",)


def recorded(is_astray, draft_length):
    """Return the outcome on a user's own loop."""
    known = {"side": "draft", "draft_length": draft_length, "backend": limits.RECORDED_BACKEND}
    return registry.get(Rule, RULE)().judge(evidence(played(), is_astray, **known))


def due(one):
    """Return the length that is due after a round."""
    return one.context + min(one.drafted, one.emitted) - 1


def test_an_own_convention_hides_no_other_fault():
    """A draft that reads its last token too is one longer after all-accepted rounds by design."""

    def longer(one):
        return due(one) + (not one.rejected)

    outcome = recorded(lambda one: one.burst % 2 == 1, longer)
    assert isinstance(outcome, Unknown)
    assert "do not follow from them" in outcome.reason
    assert isinstance(recorded(lambda one: False, longer), Unknown)


def test_a_length_that_leads_astray_is_a_fault_in_an_own_loop_too():
    """From the first rejection on it is short, and the law shows it."""

    def behind(one):
        return any(each.rejected for each in one.history)

    outcome = recorded(behind, lambda one: due(one) - (behind(one) or one.rejected))
    assert isinstance(outcome, Found)
