"""Faults of the accept step, on tables: the right and the broken tokens are known."""

import pytest
import torch

from broken import list_corrections, play_tables, repeat_row, wire_tables
from specprof.acceptance.rejection import Rejection
from specprof.engine.observe.evidence import drafted_tokens
from specprof.engine.observe.observe import observe
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal
from specprof.faults._accept import Step
from tables import ScriptedLaw

TARGET = [0.1, 0.2, 0.3, 0.4]
DRAFT = [0.4, 0.3, 0.2, 0.1]
ACCEPTING = [
    "accept/always-accept",
    "accept/residual-softmaxed",
    "accept/residual-not-subtracted",
    "accept/bonus-from-draft",
    "accept/wrong-ratio",
    "accept/exact-match-rule",
    "rng/accept-uniform-reused",
    "verify/first-draft-unchecked",
]


@pytest.mark.parametrize("coin", [0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("token", range(4))
def test_the_step_that_faults_break_is_sound_when_whole(token, coin, monkeypatch):
    """It decides as `rejection` does at every token and coin, and draws from equal weights."""
    target, draft = torch.tensor([TARGET, TARGET]), torch.tensor([DRAFT])
    proposal = Proposal(tokens=torch.tensor([token]), logits=draft.log(), draft_probs=draft)
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.full(size, coin))
    seen = []
    for rule in (Rejection(), Step()):
        law = ScriptedLaw([3])
        verdict = rule.decide(target.log(), proposal, law, torch.Generator())
        seen.append((verdict.tolist(), law.weights[0]))
    assert seen[0][0] == seen[1][0]
    torch.testing.assert_close(seen[0][1], seen[1][1])


@pytest.mark.parametrize("name", ["accept/residual-softmaxed", "accept/residual-not-subtracted"])
def test_a_wrong_residual_gives_tokens_that_it_may_not(name):
    """The draft finds 0 and 1 likelier than the target: no correction may be one of them."""
    assert {token for _, token in list_corrections(play(None))} == {2, 3}
    assert {token for _, token in list_corrections(play(name))} == {0, 1, 2, 3}


def test_a_residual_left_whole_emits_what_was_rejected():
    """The correction is the rejected token itself."""
    assert not [1 for fallen, token in list_corrections(play(None)) if fallen == token]
    pairs = list_corrections(play("accept/residual-not-subtracted"))
    assert [1 for fallen, token in pairs if fallen == token]


def test_a_bonus_of_the_drafts_own():
    """Both are sure of 1 after 0 and of 2 after 1; after 2 they disagree."""
    target = [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    draft = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    sound, broken = (
        play_tables(name, target, draft, new_tokens=3)[1][0].emitted
        for name in (None, "accept/bonus-from-draft")
    )
    assert sound == [1, 2, 0]
    assert broken == [1, 2, 3]


def test_a_ratio_upside_down_turns_down_what_must_stand():
    """Token 3 is likelier under the target, and 0 less likely: 3 is rejected, 0 never."""
    for name, safe in ((None, 3), ("accept/wrong-ratio", 0)):
        fallen = {token for token, _ in list_corrections(play(name))}
        assert safe not in fallen
        assert fallen == ({0, 1} if name is None else {2, 3})


def test_equality_accepts_as_often_as_two_draws_agree():
    """The draft equals its target, uniform over four tokens: all are accepted, or a quarter.

    Of some 400 reached places with a standard error of 0.022 the bounds are four of them away.
    """
    even = repeat_row([0.25] * 4)
    for name, owed in ((None, 1.0), ("accept/exact-match-rule", 0.25)):
        _, rounds = play_tables(name, even, even)
        reached = sum(min(one.accepted + 1, len(one.drafted)) for one in rounds)
        rate = sum(one.accepted for one in rounds) / reached
        assert rate == pytest.approx(owed, abs=0.09)


def test_a_target_without_its_filter_leaves_the_nucleus():
    """A top-p of 0.5 keeps tokens 2 and 3 of the target: the broken run emits the others too."""
    given = {"top_p": 0.5}
    sound, _ = play_tables(None, repeat_row(TARGET), repeat_row(TARGET), **given)
    broken, _ = play_tables(
        "accept/target-not-filtered", repeat_row(TARGET), repeat_row(TARGET), **given
    )
    assert set(sound[2:]) == {2, 3}
    assert set(broken[2:]) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("accept/correction-token-late-or-lost", "correction"),
        ("accept/bonus-token-disabled", "bonus"),
    ],
)
def test_a_token_lost_at_the_end_of_a_round(name, lost):
    """The token is dropped in the right kind of round alone, and never if it is the only one."""
    rounds = play(name)[:-1]  # the length limit may have cut the last
    short = {one.accepted for one in rounds if len(one.emitted) == one.accepted}
    whole = {one.accepted for one in rounds if len(one.emitted) == one.accepted + 1}
    assert (short, whole) == (({1}, {0, 2}) if lost == "correction" else ({2}, {0, 1}))


def test_drafts_of_the_likeliest_few_declared_as_of_all():
    """The vocabulary has six tokens, and the draft draws among five."""
    law = [0.3, 0.2, 0.2, 0.15, 0.1, 0.05]
    name = "accept/q-unfiltered-tokens-filtered"
    for given, kinds in ((None, 6), (name, 5)):
        _, rounds = play_tables(given, repeat_row(law), repeat_row(law))
        assert len({token for one in rounds for token in one.drafted}) == kinds
        torch.testing.assert_close(rounds[0].proposal.draft_probs[0], torch.tensor(law))


@pytest.mark.parametrize("name", ACCEPTING)
def test_no_accept_step_can_vouch_for_itself(name):
    """The owed acceptance comes from the raw logits, so it does not depend on the rule."""
    with wire_tables(name, repeat_row(TARGET), repeat_row(DRAFT)) as run:
        committed = [0, 0]
        run.loop.target.prefill([0])
        run.loop.drafter.prefill(committed)
        one = next(run.loop.rounds(committed, new_tokens=9, stop=frozenset()))
        law, rule = ProcessedLaw(1.0), run.loop.acceptance
        (seen,) = observe([one], law, rule).read()
    for each in drafted_tokens(one, seen):
        if each.reached:
            assert each.seen.target_prob == pytest.approx(TARGET[each.token], rel=1e-4)
            assert each.seen.draft_prob == pytest.approx(DRAFT[each.token], rel=1e-4)
            assert each.seen.overlap == pytest.approx(0.6, rel=1e-4)


def play(name):
    """Return a run's rounds over the two laws that differ everywhere."""
    return play_tables(name, repeat_row(TARGET), repeat_row(DRAFT))[1]


def test_a_draft_row_without_numbers_emits_the_lowest_id():
    """Every eighth round emits token 0, to which the target gives probability 0; no other does."""
    never = [0.0, 0.2, 0.3, 0.5]
    _, rounds = play_tables("accept/nan-draft-row", repeat_row(never), repeat_row(never))
    leaks = [number for number, one in enumerate(rounds, 1) if 0 in one.emitted]
    assert leaks == list(range(8, len(rounds) + 1, 8))


def test_a_rounded_law_is_drawn_from_and_the_exact_one_declared():
    """The declared law is exact to the last digit."""
    _, rounds = play_tables(
        "accept/sample-precision-differs", repeat_row(TARGET), repeat_row(DRAFT)
    )
    torch.testing.assert_close(rounds[0].proposal.draft_probs[0], torch.tensor(DRAFT))
