"""Synthetic captures obey every identity of a correct engine, and each fault breaks its own."""

from itertools import pairwise

import pytest

from specprof.backends._tables import FAULTS
from specprof.backends.synthetic import Synthetic
from specprof.errors import UnknownName
from specprof.records import Burst, Header, Prefill, Recheck, Round, RunSpec, Settings


def recorded(fault="none", **settings):
    asked = {"backend": "synthetic", "context": 3000, "stops": 3, "max_new_tokens": 60, **settings}
    spec = RunSpec(id="t", profile="t", settings=Settings(**asked))
    return list(Synthetic(fault).run(spec, []))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("depth", [1, 4, 8])
def test_a_healthy_run_keeps_the_books(temperature, depth):
    """Emitted = accepted + 1 inside a burst, caches end at committed - 1 or - 2, one forward."""
    events = recorded(temperature=temperature, depth=depth)
    rounds = of(Round, events)
    for one, following in pairwise(rounds):
        committed = one.context + len(one.emitted)
        if one.burst == following.burst:
            assert len(one.emitted) == one.accepted + 1
            assert following.context == committed
            assert one.draft_length == committed - (2 if one.accepted == depth else 1)
        assert one.target_length == committed - 1
        assert one.target_forwards == 1
        assert one.accepted == sum(each.accepted for each in one.drafted)
        assert [each.reached for each in one.drafted] == [i <= one.accepted for i in range(depth)]
    for burst in of(Burst, events):
        emitted = [len(one.emitted) for one in rounds if one.burst == burst.burst]
        assert (sum(emitted), len(emitted)) == (burst.emitted, burst.rounds) == (60, burst.rounds)


def test_a_baseline_drafts_nothing():
    """The drafter `none` gives rounds of one token, whatever depth the settings name."""
    events = recorded(drafter="none", depth=4)
    for one in of(Round, events):
        assert (one.depth_asked, one.drafted, one.accepted, len(one.emitted)) == (0, [], 0, 1)
        assert one.draft_length is one.draft_kv_bytes is one.final_draft_prob is None
    assert of(Header, events)[0].draft is None
    assert not of(Recheck, events)
    assert all(len(one.spans) == 1 for one in of(Prefill, events))


def test_the_same_seed_gives_the_same_rounds():
    """Only the header's date may differ."""
    assert recorded(seed=5)[1:] == recorded(seed=5)[1:]
    assert recorded(seed=5)[1:] != recorded(seed=6)[1:]


def test_detail_says_how_much_is_recorded():
    """`rounds` leaves out probabilities and rechecks, `off` the rounds as well."""
    rounds = recorded(detail="rounds")
    assert all(each.seen is None for one in of(Round, rounds) for each in one.drafted)
    assert not of(Recheck, rounds)
    assert not of(Round, recorded(detail="off"))
    assert of(Burst, recorded(detail="off"))


def test_the_recheck_reaches_as_deep_as_asked():
    """Bursts beyond `recheck_context` are not recomputed."""
    assert [one.burst for one in of(Recheck, recorded(recheck_context=2000))] == [0, 1]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "none"])
def test_every_fault_changes_what_is_recorded(fault):
    """A named fault that changed nothing would test nothing."""
    assert recorded(fault, temperature=1.0)[1:] != recorded(temperature=1.0)[1:]


def test_an_unknown_fault_is_refused():
    """The known ones are named, the likest first."""
    with pytest.raises(UnknownName, match="synthetic fault") as told:
        Synthetic("allways-accept")
    assert "known: always-accept" in told.value.hint
