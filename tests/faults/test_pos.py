"""Faults of positions: what each does to the two models' laws, against a sound run."""

import msgspec
import pytest

import proofs
from drilled import MAX_ROUNDING_GAP, assert_astray, assert_still, load_fault, play_drill
from specprof.engine.patch import swapped
from specprof.engine.setup.wiring import wire

STREAMING = {"cache": "sink-window", "draft_cache": "dense", "context": 200, "stops": 2}


def test_one_place_too_early(family):
    """The draft strays at every index and from the first round on; lengths are right."""
    run = play_drill(family, "pos/draft-position-off-by-one")
    first = run.rounds[0].index
    assert_astray(run, "draft", 0.8)
    assert_astray(run, "draft", 0.8, lambda one, _: one.index == first)
    assert_still(run, "target")
    assert set(run.short("target")) == {0}


@pytest.mark.parametrize("name", ["pos/tree-node-index-as-depth", "mask/tree-siblings-visible"])
def test_a_tree_laid_out_as_a_chain(family, name):
    """The target strays; a tree of width one is no other than a sound one."""
    run = play_drill(family, name, shape="static-tree")
    assert_astray(run, "target", 0.3)
    assert_still(run, "draft")
    assert set(run.short("target")) == {0}
    assert_still(play_drill(family, name, shape="static-tree", widths="1,1,1"), "target")
    assert_still(play_drill(family, None, shape="static-tree"), "target")


def test_a_rotation_that_is_not_the_configured_one(family):
    """Both passes share it, so no law strays; the drafts and the recorded facts differ."""
    run = play_drill(family, "pos/draft-rope-scaling-missing")
    sound = play_drill(family, None)
    for role in ("target", "draft"):
        assert_still(run, role)
    assert run.accepted_frac < sound.accepted_frac
    told, right = (each.events[0].draft for each in (run, sound))
    assert told.rotation_configured == right.rotation_configured == right.rotation != []
    assert told.rotation == pytest.approx([2 * each for each in right.rotation])


def test_dummies_past_the_gate(family):
    """Every draft is id 0 from one context on, none before, and each is verified as ever."""
    wired = wire(proofs.asked({}, family, temperature=1.0))
    broken = load_fault("pos/draft-length-gate-dummy-tokens")()
    facts = msgspec.structs.replace(wired.draft.facts, trained_context=112)
    committed = list(wired.tokens[:96])
    with swapped(wired.draft, facts=facts), broken.inject(wired):
        loop = wired.loop
        loop.target.prefill(committed[:-1])
        loop.drafter.prefill(committed)
        rounds = list(loop.rounds(committed, new_tokens=40, stop=frozenset()))
    gated = [one for one in rounds if one.context + 3 > 112]
    assert gated
    assert {token for one in gated for token in one.drafted} == {0}
    assert all(one.proposal.draft_probs is None for one in gated)
    assert {token for one in rounds[:3] for token in one.drafted} != {0}


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("pos/streaming-keys-not-reindexed", 10 * MAX_ROUNDING_GAP),
        ("pos/repeated-shift-error", MAX_ROUNDING_GAP),
    ],
)
def test_sinks_in_the_wrong_place(family, name, least):
    """The target is right until the first eviction, and strays from there on; lengths are right."""
    run = play_drill(family, name, **STREAMING, window=180, block=1)
    assert {one.context > 186 for one in run.rounds} == {True, False}
    assert_still(run, "target", lambda one, _: one.context < 178)
    assert max(run.gaps("target", lambda one, _: one.context > 200)) > least
    assert_still(run, "draft")
    assert set(run.short("target")) == {0}
    assert_still(play_drill(family, None, **STREAMING, window=180, block=1), "target")
