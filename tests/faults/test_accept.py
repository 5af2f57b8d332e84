"""Faults of the accept step, on tables: what is emitted is known, sound and broken."""

import pytest
import torch

from broken import corrections, every, played, wired
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
    """As `rejection` decides, at every token and coin; the weights it draws from are the same."""
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
    """The draft likes 0 and 1 better than the target: no correction may be one of them."""
    assert {token for _, token in corrections(play(None))} == {2, 3}
    assert {token for _, token in corrections(play(name))} == {0, 1, 2, 3}


def test_a_residual_left_whole_emits_what_was_rejected():
    """The rejected token itself, in its own place."""
    assert not [1 for fallen, token in corrections(play(None)) if fallen == token]
    pairs = corrections(play("accept/residual-not-subtracted"))
    assert [1 for fallen, token in pairs if fallen == token]


def test_a_bonus_of_the_drafts_own():
    """Both are sure of 1 after 0 and of 2 after 1; after 2 each goes its own way."""
    target = [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    draft = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    sound, broken = (
        played(name, target, draft, new_tokens=3)[1][0].emitted
        for name in (None, "accept/bonus-from-draft")
    )
    assert sound == [1, 2, 0]
    assert broken == [1, 2, 3]


def test_a_ratio_upside_down_turns_down_what_must_stand():
    """Token 3 is likelier under the target and always stands, but for this; 0 falls, but for it."""
    for name, safe in ((None, 3), ("accept/wrong-ratio", 0)):
        fallen = {token for token, _ in corrections(play(name))}
        assert safe not in fallen
        assert fallen == ({0, 1} if name is None else {2, 3})


def test_equality_accepts_as_often_as_two_draws_agree():
    """A draft equal to its target, even over four tokens: all stands, or a quarter.

    Of some 400 reached places with a standard error of 0.022 the bounds are four of them away.
    """
    even = every([0.25] * 4)
    for name, owed in ((None, 1.0), ("accept/exact-match-rule", 0.25)):
        _, rounds = played(name, even, even)
        reached = sum(min(one.accepted + 1, len(one.drafted)) for one in rounds)
        rate = sum(one.accepted for one in rounds) / reached
        assert rate == pytest.approx(owed, abs=0.09)


def test_a_target_without_its_filter_leaves_the_nucleus():
    """top-p 0.5 keeps tokens 2 and 3 of the target's: the broken run emits the others too."""
    given = {"top_p": 0.5}
    sound, _ = played(None, every(TARGET), every(TARGET), **given)
    broken, _ = played("accept/target-not-filtered", every(TARGET), every(TARGET), **given)
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
    """Only of the rounds it belongs to, and never the only one."""
    rounds = play(name)[:-1]  # the length limit may have cut the last
    short = {one.accepted for one in rounds if len(one.emitted) == one.accepted}
    whole = {one.accepted for one in rounds if len(one.emitted) == one.accepted + 1}
    assert (short, whole) == (({1}, {0, 2}) if lost == "correction" else ({2}, {0, 1}))


def test_drafts_of_the_likeliest_few_declared_as_of_all():
    """Six tokens, of which the draft draws among five."""
    law = [0.3, 0.2, 0.2, 0.15, 0.1, 0.05]
    name = "accept/q-unfiltered-tokens-filtered"
    for given, kinds in ((None, 6), (name, 5)):
        _, rounds = played(given, every(law), every(law))
        assert len({token for one in rounds for token in one.drafted}) == kinds
        torch.testing.assert_close(rounds[0].proposal.draft_probs[0], torch.tensor(law))


@pytest.mark.parametrize("name", ACCEPTING)
def test_no_accept_step_can_vouch_for_itself(name):
    """What is owed is computed from the raw logits: the same, whoever decided the round."""
    with wired(name, every(TARGET), every(DRAFT)) as run:
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
    return played(name, every(TARGET), every(DRAFT))[1]


def test_a_draft_row_without_numbers_emits_the_lowest_id():
    """In every eighth round and no other, though the target gives token 0 nothing."""
    never = [0.0, 0.2, 0.3, 0.5]
    _, rounds = played("accept/nan-draft-row", every(never), every(never))
    leaks = [number for number, one in enumerate(rounds, 1) if 0 in one.emitted]
    assert leaks == list(range(8, len(rounds) + 1, 8))


def test_a_rounded_law_is_drawn_from_and_the_exact_one_declared():
    """What is declared is the law to the last digit."""
    _, rounds = played("accept/sample-precision-differs", every(TARGET), every(DRAFT))
    torch.testing.assert_close(rounds[0].proposal.draft_probs[0], torch.tensor(DRAFT))
