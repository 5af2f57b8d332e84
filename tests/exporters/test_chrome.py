"""The Chrome trace export."""

import pytest

from captures import events, in_memory
from formats import check_chrome, chrome_events
from specprof.exporters.chrome import Chrome
from specprof.records import Note, Round


def export(recorded, folder) -> list[dict]:
    Chrome().write(in_memory(recorded), folder / "a.trace.json")
    return chrome_events((folder / "a.trace.json").read_text())


@pytest.fixture
def trace(tmp_path):
    return export(events(), tmp_path)


def test_every_round_has_an_arrow_from_draft_to_verify(trace):
    """Flows pair up, one a round that drafted, from the draft's track to the target's."""
    check_chrome(trace)
    rounds = [event for event in events() if isinstance(event, Round)]
    starts = [event for event in trace if event["ph"] == "s"]
    assert len(starts) == len(rounds)


def test_a_baseline_has_no_arrows(tmp_path):
    """Nothing was drafted, so nothing leads anywhere."""
    trace = export(events(depth=0, drafter="none"), tmp_path)
    check_chrome(trace)
    assert not [event for event in trace if event["ph"] in "sf"]


def test_counters_tell_each_rounds_tokens_and_cache(trace):
    """Accepted, drafted, depth and both caches' bytes are counted at the end of every round."""
    rounds = [event for event in events() if isinstance(event, Round)]
    counts = {name: [e["args"] for e in trace if e["name"] == name] for name in
              ("tokens of the round", "KV cache")}  # fmt: skip
    assert [args["accepted"] for args in counts["tokens of the round"]] == [
        one.accepted for one in rounds
    ]
    assert [args["target_bytes"] for args in counts["KV cache"]] == [
        one.target_kv_bytes for one in rounds
    ]


def test_what_is_not_known_has_no_counter(tmp_path):
    """A round without cache sizes gets no KV counter at all, rather than one of zero."""
    one = Round(index=0, context=1, depth_asked=0, accepted=0, emitted=[1], start_ns=0, wall_ns=9)
    trace = export([events()[0], one], tmp_path)
    check_chrome(trace)
    assert not [event for event in trace if event["name"] == "KV cache"]


def test_notes_are_instants(tmp_path):
    """What the recording remarked stands on the timeline where it was remarked."""
    trace = export([events()[0], Note(at_ns=1_234_567, text="no NVML: \x1b[2J")], tmp_path)
    check_chrome(trace)
    (instant,) = [event for event in trace if event["ph"] == "i"]
    assert (instant["name"], instant["ts"]) == ("no NVML: \x1b[2J", 1_234_567)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trace: trace.append(trace[5] | {"ts": trace[5]["ts"] + 1}),
        lambda trace: trace.remove(next(e for e in trace if e["ph"] == "f")),
        lambda trace: next(e for e in trace if e["ph"] == "X").pop("dur"),
        lambda trace: next(e for e in trace if e["ph"] == "C").update(args={}),
        lambda trace: next(e for e in trace if e["ph"] == "X").update(args={"round": 1}),
    ],
)
def test_the_check_itself_catches_what_perfetto_refuses(trace, spoil):
    """A spoilt trace fails the check, so the check can fail."""
    spoil(trace)
    with pytest.raises(AssertionError):
        check_chrome(trace)


def test_each_sequence_of_a_batch_has_tracks_of_its_own(tmp_path):
    """Rounds of a step lie over one another in time, and so never on one track."""
    trace = export(events(batch=3), tmp_path)
    check_chrome(trace)
    names = {e["tid"]: e["args"]["name"] for e in trace if e["name"] == "thread_name"}
    assert len(names) == 9
    assert "target model, sequence 2" in names.values()
    rounds = [event for event in events(batch=3) if isinstance(event, Round)]
    for sequence in range(3):
        own = [e for e in trace if e["name"] == "round" and e["tid"] == 1 + 3 * sequence]
        own = [e for e in own if e["ph"] == "X"]
        assert len(own) == sum(one.sequence == sequence for one in rounds)
