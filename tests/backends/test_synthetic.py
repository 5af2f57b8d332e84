"""Synthetic captures obey every identity of a correct engine, and each fault breaks its own."""

from itertools import pairwise

import numpy as np
import pytest

from specprof.backends._tables import FAULTS, Tables
from specprof.backends.synthetic import KV_BYTES, Synthetic
from specprof.errors import UnknownName
from specprof.records import Burst, Header, Prefill, Recheck, Round, Scored
from specprof.settings import RunSpec, Settings


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
    assert not any(one.places for one in of(Recheck, events))
    assert all(each.draft_nll is None for one in of(Recheck, events) for each in one.emitted)
    assert all(len(one.spans) == 1 for one in of(Prefill, events))


def test_siblings_judged_in_turn_keep_the_targets_law():
    """Every outcome of a family of two, weighed exactly: what is emitted follows the target.

    And what both siblings owed, each once its elder fell, is how often one of them stands.
    """
    tables = Tables("none", 1.0, 1.0, seed=4)
    first = tables.place(100, draft_astray=0.0, target_astray=0.0)
    emitted, passed, owed = np.zeros(48), 0.0, overlap(first)
    for elder in range(48):
        stands = first.draft[elder] * min(1, first.target[elder] / first.draft[elder])
        falls = first.draft[elder] - stands
        second = tables.left(first, elder)
        assert second.draft[elder] == 0
        both = np.minimum(second.target, second.draft)
        left = np.maximum(second.target - second.draft, 0)
        emitted[elder] += stands
        emitted += falls * (both + (1 - both.sum()) * left / left.sum())
        passed += stands + falls * both.sum()
        owed += falls * overlap(second)
    np.testing.assert_allclose(emitted, first.target, atol=1e-12)
    assert passed == pytest.approx(owed)


def overlap(place):
    return np.minimum(place.target, place.draft).sum()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_tree_keeps_the_books(temperature):
    """One path stands, siblings before it fell, and both caches end where they should."""
    for one in of(Round, recorded(shape="static-tree", widths="3,2", temperature=temperature)):
        parents = [each.parent for each in one.drafted]
        assert parents == [-1] * 3 + [0, 0, 1, 1, 2, 2] + list(range(3, 9)) + list(range(9, 15))
        tip = -1
        for node, each in enumerate(one.drafted):
            assert each.reached == (each.parent == tip)
            tip = node if each.accepted else tip
        assert one.accepted == sum(each.accepted for each in one.drafted)
        path = [each.token for each in one.drafted if each.accepted]
        assert one.emitted[: one.accepted] == path[: len(one.emitted)]
        assert one.draft_length == one.context
        assert one.target_length == one.context + len(one.emitted) - 1
        for family in ([0, 1, 2], [3, 4], [9]):
            tokens = [one.drafted[node].token for node in family]
            assert len(set(tokens)) == len(tokens), "siblings are drawn without replacement"


def test_the_sequences_of_a_batch_share_their_steps():
    """Each has bursts of its own; rounds of a step lie over one another; none lacks a token."""
    events = recorded(batch=3, temperature=1.0)
    rounds, bursts = of(Round, events), of(Burst, events)
    assert [one.index for one in rounds] == list(range(len(rounds)))
    assert [(one.burst, one.sequence) for one in bursts] == [(n, n % 3) for n in range(9)]
    for burst in bursts:
        own = [one for one in rounds if one.burst == burst.burst]
        assert sum(len(one.emitted) for one in own) == burst.emitted == 60
        assert {one.sequence for one in own} == {burst.sequence}
        for one, following in pairwise(own):
            assert following.context == one.context + len(one.emitted)
    for one in rounds:
        step = [each for each in rounds if each.start_ns == one.start_ns]
        assert len(step) == one.shared
        assert {each.wall_ns for each in step} == {one.wall_ns}


def test_scored_text_goes_on_where_it_stopped():
    """Every token but the first is scored once; a window bounds what the cache holds."""
    events = recorded(workload="ppl", context=700, score_step=64, cache="sink-window", window=100)
    passes = of(Scored, events)
    assert not of(Round, events)
    assert sum(len(one.nll) for one in passes) == 699
    for one, following in pairwise(passes):
        assert following.context == one.context + len(one.nll)
        assert following.start_ns == one.start_ns + one.wall_ns
    last = passes[-1]
    assert last.target_length == 699
    assert last.target_evicted == 699 - 104
    assert last.target_kv_bytes == 104 * KV_BYTES["target"]


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


@pytest.mark.parametrize("shape", ["chain", "static-tree"])
def test_finals_are_drawn_where_they_are_due(shape):
    """Ranks and orders of 200 rounds and more: 1/2 within 4.4 standard errors, seed fixed."""
    rounds = of(Round, recorded(temperature=1.0, max_new_tokens=250, shape=shape, depth=2))
    for name in ("final_rank", "final_order"):
        told = np.array([getattr(one, name) for one in rounds if one.final_rank is not None])
        assert len(told) > 200
        assert abs(told.mean() - 0.5) < 4.4 * told.std() / len(told) ** 0.5


def test_a_token_is_scored_again_under_the_clean_law():
    """By hand: entropy and spread of a law, nats to the draft, the largest logit less its own."""
    tables = Tables("none", 1.0, 1.0, seed=4)
    place = tables.place(100, draft_astray=0.0, target_astray=2.0)
    told = tables.rescore(place, 3, 0, 0)
    law = np.exp(place.target_raw) / np.exp(place.target_raw).sum()
    draft = np.exp(place.draft_raw) / np.exp(place.draft_raw).sum()
    entropy = -(law * np.log(law)).sum()
    assert told.target_prob == pytest.approx(law[3], rel=1e-4)
    assert told.entropy == pytest.approx(entropy, rel=1e-4)
    assert told.spread == pytest.approx((law * np.log(law) ** 2).sum() - entropy**2, rel=1e-4)
    shortfall = place.target_raw.max() - place.target_raw[3]
    assert told.shortfall == pytest.approx(shortfall, rel=1e-4)
    assert told.draft_nll == pytest.approx(-np.log(draft[3]), rel=1e-4)
    assert told.target_gap == pytest.approx(np.abs(place.target - law).sum() / 2, rel=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_committed_token_is_scored_again(temperature):
    """In order, with no gap where the state is sound."""
    events = recorded(temperature=temperature, shape="static-tree", widths="3,2")
    slots = [(each.round, each.slot) for one in of(Recheck, events) for each in one.emitted]
    told = [(one.index, slot) for one in of(Round, events) for slot in range(len(one.emitted))]
    assert slots == told
    for one in of(Recheck, events):
        assert all(each.target_gap == 0 for each in one.emitted)
        assert all(each.target_gap == each.draft_gap == 0 for each in one.places)


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        ("uniform-reused", lambda rounds: mean(rounds, "final_order") > 0.52),
        ("residual-softmaxed", lambda rounds: mean(rounds, "final_rank") > 0.6),
        ("bonus-from-draft", lambda rounds: bonus(rounds) > 0.54),
        ("draft-temperature", lambda rounds: drafted(rounds, "draft_rank").mean() > 0.52),
        ("constant-drafts", lambda rounds: len({e.token for r in rounds for e in r.drafted}) == 1),
        ("wrong-ratio", lambda rounds: stood(rounds)[owed(rounds) < 0.5].mean() > 0.9),
        ("exact-match-unsaid", lambda rounds: abs(stood(rounds).mean() - agreed(rounds)) < 0.04),
        ("first-draft-unchecked", lambda rounds: all(r.drafted[0].accepted for r in rounds)),
        ("correction-lost", lambda rounds: sum(len(r.emitted) == r.accepted for r in rounds) > 10),
        ("nothing-proposed", lambda rounds: not any(r.drafted for r in rounds)),
    ],
)
def test_a_fault_leaves_its_own_mark(fault, shows):
    """And a healthy run of the same seed does not bear it."""
    asked = {"temperature": 1.0, "max_new_tokens": 250, "depth": 2}
    assert shows(of(Round, recorded(fault, **asked)))
    assert not shows(of(Round, recorded(**asked)))


def mean(rounds, name):
    return np.mean([getattr(one, name) for one in rounds if one.final_rank is not None])


def bonus(rounds):
    ranks = [r.final_rank for r in rounds if r.accepted == len(r.drafted)]
    return np.mean([each for each in ranks if each is not None])


def drafted(rounds, name):
    return np.array([getattr(e.seen, name) for r in rounds for e in r.drafted if e.reached])


def stood(rounds):
    return np.array([e.accepted for r in rounds for e in r.drafted if e.reached])


def owed(rounds):
    return drafted(rounds, "accept_owed")


def agreed(rounds):
    """What equality would accept in the mean: each drafted token's target probability."""
    return drafted(rounds, "target_prob").mean()


def test_an_unknown_fault_is_refused():
    """The known ones are named, the likest first."""
    with pytest.raises(UnknownName, match="synthetic fault") as told:
        Synthetic("allways-accept")
    assert "known: always-accept" in told.value.hint
