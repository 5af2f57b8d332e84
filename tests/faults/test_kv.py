"""Faults of caches: what each does to lengths and to the two models' laws, against a sound run."""

import itertools

import numpy as np
import pytest

from drilled import assert_astray, assert_still, play_drill
from specprof.faults.kv import draft_not_primed_by_chunked_prefill

DRAFT_SIDE = [
    "kv/draft-rollback-over-trim",
    "kv/draft-rollback-under-trim",
    "kv/draft-last-proposal-missing",
    "kv/graph-replay-stale-length",
]


def growth(numbers):
    """Return by how much each number exceeds the one before; the first as it is."""
    return [after - before for before, after in itertools.pairwise([0, *numbers])]


def lacking(run):
    """Return how many tokens a chain's draft cache lacks of what it should hold, by round."""
    due = [1 if not rejected else 0 for rejected in run.rejected()]
    return [short - each for short, each in zip(run.short("draft"), due, strict=True)]


def whole(run):
    """Leave out the last round: the length limit may have cut it."""
    return slice(0, len(run.rounds) - 1)


def test_a_sound_run_is_what_the_faults_are_held_against(family):
    """No length off, no law astray, in the very runs that the faults below break."""
    run = play_drill(family, None)
    assert set(run.short("target")) == {0}
    assert set(lacking(run)[whole(run)]) == {0}
    assert {True, False} == set(run.rejected())
    for role in ("target", "draft"):
        assert_still(run, role)


@pytest.mark.parametrize("name", DRAFT_SIDE)
def test_a_wrong_draft_cache_leaves_the_target_alone(family, name):
    """The draft's law strays once it has had a round to go wrong in; the target never does."""
    run = play_drill(family, name)
    assert set(run.short("target")) == {0}
    assert_still(run, "target")
    assert_astray(run, "draft", 0.2)
    first = run.rounds[0].index
    assert_still(run, "draft", lambda one, _: one.index == first)


def test_over_trimmed_by_two_with_every_rejection(family):
    """Short by two more after each round with a rejection, by none after the others."""
    run = play_drill(family, "kv/draft-rollback-over-trim")
    told = zip(growth(lacking(run)), run.rejected(), strict=True)
    assert {(grown, rejected) for grown, rejected in [*told][whole(run)]} == {(2, True), (0, False)}


def test_untrimmed_by_what_was_fed_and_rejected(family):
    """Too long by K - 1 - accepted more after each rejection."""
    run = play_drill(family, "kv/draft-rollback-under-trim")
    grown = growth(lacking(run))[whole(run)]
    due = [min(one.accepted + 1 - len(one.drafted), 0) for one in run.rounds][whole(run)]
    assert grown == due
    assert min(due) < 0


def test_a_hole_for_every_all_accepted_round(family):
    """Short by one more after each of them, by none after a rejection."""
    run = play_drill(family, "kv/draft-last-proposal-missing")
    told = [*zip(growth(run.short("draft")), run.rejected(), strict=True)]
    assert set(told[whole(run)]) == {(0, True), (1, False)}


def test_a_stale_length_does_not_add_up(family):
    """Off by the difference of two rounds' counts, either way, and bounded by K."""
    run = play_drill(family, "kv/graph-replay-stale-length")
    off = lacking(run)[whole(run)]
    assert min(off) < 0 < max(off)
    assert max(map(abs, off)) <= 3


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("kv/target-rejected-kept", -200, 0), ("kv/reset-instead-of-rollback", 0, 200)],
)
def test_a_wrong_target_cache_leaves_the_draft_alone(family, name, low, high):
    """The target's length and law go wrong with the first rejection, the draft's never."""
    run = play_drill(family, name)
    off = run.short("target")
    first = run.rejected().index(True)
    assert set(off[:first]) <= {0}
    assert off[first] != 0
    assert low <= min(off) <= max(off) <= high
    later = run.rounds[first].index
    assert_astray(run, "target", 0.5, lambda one, _: one.index > later)
    assert_still(run, "target", lambda one, _: one.index <= later)
    assert_still(run, "draft")


def test_a_stale_token_leads_astray_from_the_first_all_accepted_round_on(family):
    """No length shows it, and the recheck finds which token was fed."""
    run = play_drill(family, "kv/stale-token-fed")
    assert set(run.short("target")) == {0}
    first = run.rejected().index(False)
    later = run.rounds[first].index
    assert_astray(run, "target", 0.5, lambda one, _: one.index > later)
    assert_still(run, "target", lambda one, _: one.index <= later)
    assert_still(run, "draft")


def test_one_request_of_three_is_astray_as_a_whole(family):
    """The others and all lengths are right."""
    run = play_drill(family, "kv/request-reads-foreign-rows", context=200, stops=3)
    bursts = sorted({one.burst for one in run.rounds})
    assert set(run.short("target")) == {0}
    assert_still(run, "target", lambda one, _: one.burst != bursts[1])
    assert_astray(run, "target", 0.9, lambda one, _: one.burst == bursts[1])
    assert_still(run, "draft")


@pytest.mark.parametrize("name", ["kv/target-rejected-kept", "kv/ring-cache-wrap-no-rollback"])
def test_what_is_rejected_stays(family, name):
    """The target's cache is too long by exactly that."""
    given = {"cache": "sink-window", "draft_cache": "dense"} if "ring" in name else {}
    run = play_drill(family, name, **given)
    kept = np.cumsum([len(one.drafted) - one.accepted for one in run.rounds])
    assert [-short for short in run.short("target")][whole(run)] == kept.tolist()[whole(run)]


@pytest.mark.parametrize(
    "name", ["kv/ring-cache-wrap-no-rollback", "kv/sliding-mask-size-mismatch"]
)
def test_nothing_shows_before_the_window_is_full(family, name):
    """Two bursts, one before and one after: only the second strays, and only in its target."""
    run = play_drill(
        family, name, cache="sink-window", draft_cache="dense", context=200, stops=2, window=190
    )
    assert {one.context > 194 for one in run.rounds} == {True, False}
    assert_still(run, "target", lambda one, _: one.context < 190)
    assert_astray(run, "target", 0.5, lambda one, _: one.context > 200)
    assert_still(run, "draft")
    if "mask" in name:
        assert set(run.short("target")) == {0}


def test_a_leak_shows_from_the_second_request_on(family):
    """The draft's cache is too long by the first text, in all rounds of the second burst alike."""
    run = play_drill(
        family, "kv/draft-cache-leaks-across-requests", context=160, stops=2, max_new_tokens=20
    )
    bursts = [one.burst for one in run.rounds]
    off = [{o for o, burst in zip(lacking(run), bursts, strict=True) if burst == b} for b in (0, 1)]
    assert 0 in off[0]
    assert -127 in off[1]
    assert_still(run, "draft", lambda one, _: one.burst == 0)
    assert_astray(run, "draft", 0.8, lambda one, _: one.burst == 1)
    assert_still(run, "target")


def test_a_long_prompts_first_chunk_is_lost_on_the_draft(family, monkeypatch):
    """With chunks of 48 the draft knows the last 47 of 95 tokens, and strays at once."""
    monkeypatch.setattr(draft_not_primed_by_chunked_prefill, "PREFILL_CHUNK", 48)
    run = play_drill(family, "kv/draft-not-primed-by-chunked-prefill", drafter="self")
    assert set(lacking(run)[whole(run)]) == {48}
    assert_astray(run, "draft", 0.8)
    assert_still(run, "target")


def test_later_steps_that_see_less(family):
    """A head's first step is right in every round, the others are not; no length is off."""
    run = play_drill(family, "kv/padded-drafter-seqlen-stale", drafter="eagle")
    assert_still(run, "draft", lambda _, place: place.index == 0)
    assert_astray(run, "draft", 0.2, lambda _, place: place.index > 0)
    assert {one.draft_length - one.context for one in run.rounds} == {0}
    assert_still(run, "target")


def test_rows_in_another_basis(family):
    """The draft's own rows mislead it from the first; a cache of prefill alone would not."""
    run = play_drill(family, "kv/injected-rows-in-wrong-basis", draft_cache="quantised")
    sound = play_drill(family, None, draft_cache="quantised")
    assert_astray(run, "draft", 0.8)
    assert_still(run, "target")
    assert np.mean(sound.gaps("draft")) < 0.1 * np.mean(run.gaps("draft"))
    assert set(lacking(run)[whole(run)]) == {0}


def test_trees_that_stay(family):
    """Too long by the nodes of every tree: the draft is fed the first two levels of three."""
    run = play_drill(family, "kv/eagle-zombie-tree-nodes", shape="static-tree")
    kept = [one.draft_length - one.context for one in run.rounds]
    assert growth(kept)[1:] == [6] * (len(kept) - 1)
    assert_still(run, "target")
    first = run.rounds[0].index
    assert_still(run, "draft", lambda one, _: one.index == first)
    assert_astray(run, "draft", 0.8, lambda one, _: one.index > first)


def test_another_rows_count(family):
    """One mistake in eight rounds: the target's lengths are right until then."""
    run = play_drill(family, "kv/async-stale-accept-count", batch=2, max_new_tokens=60)
    for sequence in (0, 1):
        off = [
            short
            for short, one in zip(run.short("target"), run.rounds, strict=True)
            if one.sequence == sequence
        ]
        assert set(off[:7]) == {0}
    assert set(run.short("target")) != {0}
    assert_still(run, "draft")
    sound = play_drill(family, None, batch=2)
    assert set(sound.short("target")) == {0}


def test_keys_of_another_sequence(family):
    """The first sequence is right, the second right at draft index 0 of its first round."""
    run = play_drill(family, "kv/index-map-stale-after-step0", batch=2)
    assert_still(run, "target")
    assert_still(run, "draft", lambda one, _: one.sequence == 0)
    assert_astray(run, "draft", 0.8, lambda one, place: one.sequence == 1 and place.index > 0)
    assert set(run.short("target")) == {0}


def test_a_heads_own_features_stay(family):
    """Its cache ends with the committed text and not where the round began; it drafts otherwise."""
    run = play_drill(family, "kv/eagle-own-features-kept", drafter="eagle")
    sound = play_drill(family, None, drafter="eagle")
    assert {one.draft_length - one.context for one in sound.rounds} == {0}
    kept = [one.draft_length - one.context - one.accepted for one in run.rounds]
    assert set(kept[whole(run)]) <= {0, -1}
    assert any(one.accepted for one in run.rounds[:-1])
    assert run.rounds != sound.rounds


def test_a_snapshot_of_rejected_rows(family):
    """The first round drafts as a sound run does; after a rejection no longer."""
    run = play_drill(family, "kv/shared-snapshot-not-trimmed", drafter="eagle")
    sound = play_drill(family, None, drafter="eagle")
    first, second = run.rounds[0], run.rounds[1]
    assert first.drafted == sound.rounds[0].drafted
    assert first.accepted < len(first.drafted)
    assert second.context == sound.rounds[1].context
    assert second.drafted != sound.rounds[1].drafted
    assert {one.draft_length - one.context for one in run.rounds} == {0}
