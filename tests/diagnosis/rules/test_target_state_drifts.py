"""The target's wrong state is named by where it shows."""

import captures
from astray import LONG, astray, judged, replace, with_settings
from specprof.findings import Clear, Found
from specprof.recheck_records import OtherInput
from specprof.records import Recheck

RULE = "target-state-drifts"


def after_rejections(events):
    """Return the rounds that have a rejection before them in their burst."""
    found, begun = set(), {}
    for each in events:
        if type(each).__name__ == "Round":
            if begun.get(each.burst):
                found.add(each.index)
            begun[each.burst] = begun.get(each.burst) or each.accepted < len(each.drafted)
    return found


def test_a_healthy_target_is_clear():
    """With what it would have seen."""
    outcome = judged(RULE, astray("target", lambda one: False))
    assert isinstance(outcome, Clear)
    assert "laws 0.05% apart in 0.1% of places" in outcome.detectable


def test_throughout_and_far_off_is_the_mask():
    """Less far off, a kernel."""
    far = judged(RULE, astray("target", lambda one: True, gap=0.9)).finding
    near = judged(RULE, astray("target", lambda one: True, gap=0.2)).finding
    assert far.suspects == ("mask/sdpa-causal-top-left",)
    assert near.suspects == ("num/multi-token-attention-path",)
    assert (far.where.round, far.where.index) == (0, 0)
    assert "throughout" in far.message


def test_from_a_rejection_on_rejected_tokens_were_kept():
    """The place told is the first that is astray."""
    events = captures.events(**LONG)
    wrong = after_rejections(events)
    finding = judged(RULE, astray("target", lambda one: one.round in wrong, events=events)).finding
    assert finding.suspects[0] == "kv/target-rejected-kept"
    assert finding.where.round == min(wrong)
    assert finding.where.event == "after a rejection"
    assert "from a rejection on" in finding.message


def test_a_full_window_is_known_by_its_length():
    """Whatever the outcome before: the mask, or the keys."""
    events = with_settings(captures.events(**LONG), cache="sink-window", window=1000)
    deep = {e.index for e in events if type(e).__name__ == "Round" and e.context >= 1000}
    finding = judged(RULE, astray("target", lambda one: one.round in deep, events=events)).finding
    assert finding.suspects == ("kv/sliding-mask-size-mismatch", "pos/streaming-keys-not-reindexed")
    assert "where the window is full" in finding.message


def test_rare_rounding_is_no_drift():
    """Two places in over a thousand are within the floor."""
    events = astray("target", lambda one: one.round in {40, 90} and one.index == 0)
    assert isinstance(judged(RULE, events), Clear)
    assert isinstance(judged(RULE, astray("target", lambda one: one.round < 4)), Found)


def test_a_first_pass_right_in_its_first_row_only_read_stale_inputs():
    """What the other rows left in the cache leads later rounds astray at once."""
    events = captures.events(**(LONG | {"stops": 20, "max_new_tokens": 60}))
    begins = {}
    for each in events:
        if type(each).__name__ == "Round":
            begins.setdefault(each.burst, each.index)
    first = set(begins.values())
    finding = judged(
        RULE, astray("target", lambda one: one.round not in first or one.index > 0, events=events)
    ).finding
    assert finding.suspects == ("mask/verify-reads-stale-embeddings",)


def fed_wrongly(where):
    """Return a run that is astray throughout, with a record of another input at rounds `where`."""
    made = astray("target", lambda one: True)
    return [
        replace(
            each,
            other_inputs=[
                OtherInput("target", number, "nothing", 0.5, 0.0) for number in where(each)
            ],
        )
        if isinstance(each, Recheck)
        else each
        for each in made
    ]


def test_another_input_counts_once_in_each_burst_and_only_where_the_target_is_astray():
    """A file may repeat a record, or name a round that it doesn't hold."""
    finding = judged(RULE, fed_wrongly(lambda each: [each.places[0].round] * 3)).finding
    assert "from a wrong input" in finding.message
    assert "the first wrong row of 8 of 8 bursts" in finding.message
    nowhere = judged(RULE, fed_wrongly(lambda each: [99_999] * 3)).finding
    assert "from a wrong state" in nowhere.message
