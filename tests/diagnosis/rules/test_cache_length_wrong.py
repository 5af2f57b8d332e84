"""Which lengths are wrong, and when, names what went wrong with them."""

import pytest

import captures
from astray import LONG, judged, replace
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
