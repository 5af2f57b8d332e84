"""Evidence from raw logits, number by number, and its independence of the accept step."""

from dataclasses import replace

import pytest
import torch

from engines import decode, loop
from engines import played as a_round
from specprof.acceptance.block import Block
from specprof.acceptance.exact_match import ExactMatch
from specprof.acceptance.greedy import Greedy
from specprof.acceptance.rejection import Rejection
from specprof.acceptance.typical import Typical
from specprof.engine.instruments.stopwatch import HostClock, Lap
from specprof.engine.observe.evidence import drafted_tokens
from specprof.engine.observe.observe import observe
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal
from tables import TableDecoder

TARGET = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]])
DRAFT = torch.tensor([[0.25, 0.7, 0.05], [0.4, 0.4, 0.2]])


def played(tokens, accepted, final, *, draft=DRAFT, drawn_from=None):
    proposal = Proposal(
        tokens=torch.tensor(tokens),
        logits=None if draft is None else draft.log(),
        draft_probs=drawn_from,
    )
    return a_round(
        proposal, TARGET.log(), path=range(accepted), final=final, lap=Lap(HostClock(), 0, 0)
    )


def seen_of(one, law=None, rule=None):
    law, rule = law or ProcessedLaw(1.0), rule or Rejection()
    return observe([one], law, rule).read()[0]


def fields(observed):
    return [getattr(observed, name) for name in observed.__struct_fields__]


def test_rejection_evidence_is_the_textbooks():
    """target_prob, draft_prob, sum of minima, min(1, ratio), rank; then the correction's two."""
    seen = seen_of(played([1, 2], 0, 0))
    assert fields(seen.drafted[0]) == pytest.approx([0.3, 0.7, 0.6, 0.3 / 0.7, 0.35], abs=1e-5)
    second = seen_of(played([1, 2], 1, 2)).drafted[1]
    assert fields(second) == pytest.approx([0.8, 0.2, 0.4, 1.0, 0.9])
    assert len(seen.drafted) == 1
    assert seen.final_target_prob == pytest.approx(0.5)
    assert seen.final_draft_prob == pytest.approx(0.25)


def test_a_bonus_has_no_draft_probability():
    """After an all-accepted round the final token is the target's alone."""
    seen = seen_of(played([1, 2], 2, 2))
    assert seen.final_target_prob == pytest.approx(0.6)
    assert seen.final_draft_prob is None


GREEDY = ProcessedLaw(0.0)
"""Its first choices by row: 0, 2, 2."""


@pytest.mark.parametrize(
    ("tokens", "accepted", "final"),
    [([1, 2], 0, 0), ([0, 1], 1, 2), ([0, 2], 2, 2)],
    ids=["rejected", "rejected behind an accepted one", "all accepted"],
)
def test_an_outcome_that_follows_from_the_rows_keeps_no_choices(tokens, accepted, final):
    """A sound capture is as small, and made as fast, as ever."""
    assert not seen_of(played(tokens, accepted, final), GREEDY, Greedy()).row_choices


@pytest.mark.parametrize(
    ("tokens", "accepted", "final"),
    [([1, 2], 0, 2), ([0, 2], 1, 2), ([1, 2], 1, 2), ([0, 2], 2, 0)],
    ids=["another correction", "rejected wrongly", "accepted wrongly", "another bonus"],
)
def test_an_outcome_that_does_not_follow_keeps_the_choice_by_every_row(tokens, accepted, final):
    """So a reader can ask which rows it does follow from."""
    one = played(tokens, accepted, final)
    assert seen_of(one, GREEDY, Greedy()).row_choices == [0, 2, 2]
    assert not seen_of(one).row_choices


def test_a_round_cut_short_follows_from_the_rows_it_has():
    """A stop token or a limit took the final token away."""
    one = replace(played([0, 2], 1, 0), emitted=[0])
    assert not seen_of(replace(one, ends_judged=True), GREEDY, Greedy()).row_choices
    whole = replace(played([0, 2], 2, 0), emitted=[0, 2])
    assert not seen_of(whole, GREEDY, Greedy()).row_choices


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_round_cut_short_has_no_final_token(temperature):
    """Where the length limit or a stop token cut it off, nothing is said of it."""
    one = replace(played([1, 2], 2, 2), emitted=[1, 2])
    seen = seen_of(one, ProcessedLaw(temperature))
    assert (seen.final_target_prob, seen.final_draft_prob) == (None, None)
    assert len(seen.drafted) == 2


def test_greedy_evidence_is_nought_or_one():
    """Overlap is agreement of the first choices; owed is whether the token is the target's."""
    seen = seen_of(played([1, 2], 0, 0), ProcessedLaw(0.0), Greedy())
    assert fields(seen.drafted[0]) == [0, 1, 0, 0, None]
    second = seen_of(played([1, 2], 1, 2), ProcessedLaw(0.0), Greedy()).drafted[1]
    assert fields(second) == [1, 0, 0, 1, None]
    assert (seen.final_target_prob, seen.final_draft_prob) == (1, 0)


def test_a_greedy_draft_without_logits_is_its_token():
    """A deterministic draft's first choice is what it drafted."""
    seen = seen_of(played([0, 2], 2, 2, draft=None), ProcessedLaw(0.0), Greedy())
    assert fields(seen.drafted[0]) == [1, 1, 1, 1, None]
    assert (seen.final_target_prob, seen.final_draft_prob) == (1, None)


def test_evidence_ignores_the_law_the_drafter_claims_to_have_drawn_from():
    """Only raw logits count: a drafter that misreports its law changes nothing here."""
    wrong = torch.full_like(DRAFT, 1 / 3)
    assert seen_of(played([1, 2], 0, 0)) == seen_of(played([1, 2], 0, 0, drawn_from=wrong))


def test_equally_likely_tokens_share_their_rank():
    """Half the mass of a tie counts: the mean rank of a true draw is 1/2, whatever the law."""
    ranks = [seen_of(played([0, token], 1, 0)).drafted[1].draft_rank for token in range(3)]
    assert ranks == pytest.approx([0.4, 0.4, 0.9])
    assert sum(DRAFT[1, token] * ranks[token] for token in range(3)) == pytest.approx(0.5)


def test_a_draft_without_logits_is_deterministic():
    """Its law puts all mass on the drafted token, so it owes the target's probability."""
    seen = seen_of(played([1, 2], 1, 1, draft=None))
    assert fields(seen.drafted[0]) == pytest.approx([0.3, 1, 0.3, 0.3, 0.5])


def test_only_reached_tokens_carry_evidence():
    """What came after the first rejection was never evaluated."""
    one = played([1, 2], 0, 0)
    first, second = drafted_tokens(one, seen_of(one))
    assert (first.reached, first.accepted, second.reached) == (True, False, False)
    assert first.seen is not None
    assert second.seen is None
    assert drafted_tokens(one, None)[0].seen is None


PARENTS = [-1, -1, 0, 1, 1]
ROWS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]])
ROWS = torch.cat([ROWS, ROWS[1:3]])  # [6, 3] after the chain and after each of five nodes
PLACES = torch.tensor([[0.25, 0.7, 0.05], [0.25, 0.7, 0.05], [1.0, 1, 1], [0.4, 0.4, 0.2]])
PLACES = torch.cat([PLACES, PLACES[3:]])  # [5, 3] siblings have one place
TIGHT = torch.tensor([[0.95, 0.02, 0.03]])


def branching(path, final, *, tokens=(1, 0, 0, 0, 2), sampled=True, rows=ROWS):
    proposal = Proposal(
        tokens=torch.tensor(tokens),
        logits=PLACES.log(),
        draft_probs=PLACES if sampled else None,
        parents=torch.tensor(PARENTS),
        family=2,
    )
    return a_round(
        proposal, rows.log(), path=path, final=final, lap=Lap(HostClock(), 0, 0), parents=PARENTS
    )


def by_node(one, law=None, rule=None):
    told = drafted_tokens(one, seen_of(one, law, rule))
    return {node: fields(each.seen) for node, each in enumerate(told) if each.seen}


def test_a_node_is_reached_if_its_ancestors_stand_and_no_elder_sibling_does():
    """After node 1: both its children; node 2 hangs on a node that fell. Parents are told."""
    told = drafted_tokens(branching([1], 1), None)
    assert [one.reached for one in told] == [True, True, False, True, True]
    assert [one.accepted for one in told] == [False, True, False, False, False]
    assert [one.parent for one in told] == PARENTS
    assert [one.reached for one in drafted_tokens(branching([0, 2], 1), None)] == [
        *(True, False, True, False, False)
    ]


def test_a_sibling_is_held_against_what_its_elders_left():
    """By hand: the eldest as in a chain; the next by the residual and the law without its elder."""
    told = by_node(branching([1], 1))
    assert set(told) == {0, 1, 3, 4}
    assert told[0] == pytest.approx([0.3, 0.7, 0.6, 0.3 / 0.7, 0.35], abs=1e-4)
    # (0.5, 0.3, 0.2) less (0.25, 0.7, 0.05) is (0.25, 0, 0.15); the draft without token 1.
    left, without = [0.625, 0, 0.375], [5 / 6, 0, 1 / 6]
    overlap = 0.625 + 1 / 6
    assert told[1] == pytest.approx([left[0], without[0], overlap, 0.75, without[0] / 2], abs=1e-4)
    # Node 1's children: (0.2, 0.2, 0.6) against (0.4, 0.4, 0.2), which leaves only token 2.
    assert told[3] == pytest.approx([0.2, 0.4, 0.6, 0.5, 0.4], abs=1e-4)
    assert told[4] == pytest.approx([1, 1 / 3, 1 / 3, 1, 2 / 3 + 1 / 6], abs=1e-4)


def test_deterministic_siblings_owe_the_target_without_their_elders():
    """All mass is on each token: owed before the draw is owed given it."""
    told = by_node(branching([], 2, sampled=False))
    assert told[0] == pytest.approx([0.3, 1, 0.3, 0.3, 0.5], abs=1e-4)
    rest = 0.5 / 0.7
    assert told[1] == pytest.approx([rest, 1, rest, rest, 0.5], abs=1e-4)


def test_each_rule_says_what_it_leaves_and_what_it_owes():
    """Exact match: the target without the elder. Typical: the target, and 0 or 1."""
    told = by_node(branching([], 2), rule=ExactMatch())
    assert told[1] == pytest.approx(
        [5 / 7, 5 / 6, 5 / 7 * 5 / 6 + 2 / 7 / 6, 5 / 7, 5 / 12], abs=1e-4
    )
    told = by_node(branching([], 2, rows=torch.cat([TIGHT, ROWS[1:]])), rule=Typical())
    assert [told[node][3] for node in (0, 1)] == [0, 1]
    assert told[0][:2] == pytest.approx([0.02, 0.7], abs=1e-4)
    assert told[1][:2] == pytest.approx([0.95, 5 / 6], abs=1e-4)


def test_a_trees_final_token_is_of_the_node_it_follows():
    """A correction has the draft's probability at its eldest's place; a bonus has none."""
    seen = seen_of(branching([1], 1))
    assert (seen.final_target_prob, seen.final_draft_prob) == (
        pytest.approx(0.2),
        pytest.approx(0.4),
    )
    seen = seen_of(branching([0, 2], 0))
    assert (seen.final_target_prob, seen.final_draft_prob) == (pytest.approx(0.4), None)
    seen = seen_of(branching([1], 1, sampled=False))
    assert seen.final_draft_prob == 0


def test_a_greedy_tree_holds_each_sibling_against_the_first_choice():
    """Every number 0 or 1; a younger sibling is drafted as it should be though not the first."""
    law, rule = ProcessedLaw(0.0), Greedy()
    one = branching([1, 4], 0, sampled=False)
    told = by_node(one, law, rule)
    assert told == {
        0: [0, 1, 0, 0, None],
        1: [1, 1, 1, 1, None],
        3: [0, 1, 0, 0, None],
        4: [1, 1, 1, 1, None],
    }
    seen = seen_of(one, law, rule)
    assert (seen.final_target_prob, seen.final_draft_prob) == (0, None)
    seen = seen_of(branching([], 0, sampled=False), law, rule)
    assert (seen.final_target_prob, seen.final_draft_prob) == (1, 0)


def test_a_chain_told_as_a_tree_is_seen_as_a_chain():
    """The same numbers, by another way, but for rounding."""
    line = replace(played([1, 2], 1, 0).proposal, parents=torch.tensor([-1, 0]), draft_probs=DRAFT)
    for path, final in (([], 0), ([0], 0), ([0, 1], 2)):
        as_tree = a_round(line, TARGET.log(), path=path, final=final, lap=Lap(HostClock(), 0, 0))
        chain, tree = seen_of(played([1, 2], len(path), final)), seen_of(as_tree)
        assert [fields(each) for each in tree.drafted] == [
            pytest.approx(fields(each), abs=1e-4) for each in chain.drafted
        ]
        assert tree.final_target_prob == pytest.approx(chain.final_target_prob)
        assert tree.final_draft_prob == (
            None if len(path) == 2 else pytest.approx(chain.final_draft_prob)
        )


@pytest.mark.parametrize("shape", ["chain", "static-tree", "dynamic-tree"])
@pytest.mark.parametrize("rule", ["rejection", "exact-match", "block", "typical"])
def test_what_is_accepted_is_what_was_owed(rule, shape):
    """Over 600 tokens: accepted less owed of all reached tokens, within 4.4 standard errors.

    One in 100,000, seed fixed. What was owed for certain stood, and what was owed nothing fell.
    """
    if rule == "block" and shape != "chain":
        return
    tables = [torch.randn(7, 7, generator=torch.Generator().manual_seed(each)) for each in (1, 2)]
    given = {"widths": "3,2", "branch": 2, "nodes": 6, "depth": 3, "seed": 6}
    run = loop(*map(TableDecoder, tables), temperature=1.0, acceptance=rule, shape=shape, **given)
    _, rounds = decode(run, new_tokens=600)
    differences, spread = [], 0.0
    for one in rounds[:-1]:
        for each in drafted_tokens(one, seen_of(one, run.parts.law, run.acceptance)):
            if each.reached:
                owed = each.seen.accept_owed
                differences.append(each.accepted - owed)
                spread += owed * (1 - owed)
                assert each.accepted or owed < 1 - 1e-4 or rule == "typical"
                assert owed > 0 or not each.accepted
    assert len(differences) > 300
    if rule == "typical":
        assert spread == 0
    else:
        assert abs(sum(differences)) < 4.4 * spread**0.5


def standing(seen):
    return seen.final_rank, seen.final_order


def test_a_correction_stands_in_the_residual():
    """By hand: (0.5, 0.3, 0.2) less (0.25, 0.7, 0.05) is (0.25, 0, 0.15), of 0.4 in all."""
    assert standing(seen_of(played([1, 2], 0, 0))) == pytest.approx((0.3125, 0.3125))
    assert standing(seen_of(played([1, 2], 0, 2))) == pytest.approx((0.8125, 0.8125))
    assert standing(seen_of(played([1, 2], 0, 1))) == pytest.approx((1.0, 0.625)), "impossible"


def test_a_bonus_stands_in_the_targets_law():
    """Of (0.2, 0.2, 0.6): rank by likelihood, ties shared, order by id."""
    assert standing(seen_of(played([1, 2], 2, 2))) == pytest.approx((0.3, 0.7))
    assert standing(seen_of(played([1, 2], 2, 0))) == pytest.approx((0.8, 0.1))
    assert standing(seen_of(branching([0, 2], 0))) == pytest.approx((0.4, 0.2))


def test_a_trees_correction_stands_in_what_all_siblings_left():
    """(0.6, 0.1, 0.3) less the eldest's law is (0.35, 0, 0.25), less the next's (0, 0, 0.25).

    Deterministic siblings leave the target's law without their tokens; so does exact match.
    """
    rows = torch.cat([torch.tensor([[0.6, 0.1, 0.3]]), ROWS[1:]])
    assert standing(seen_of(branching([], 2, rows=rows))) == pytest.approx((0.5, 0.5))
    assert standing(seen_of(branching([], 0, rows=rows))) == pytest.approx((1, 0))
    plain = replace(branching([], 1).proposal, tokens=torch.tensor([1, 1, 0, 0, 2]))
    line = replace(plain, draft_probs=None)
    one = a_round(line, rows.log(), path=[], final=2, lap=Lap(HostClock(), 0, 0), parents=PARENTS)
    assert standing(seen_of(one)) == pytest.approx((5 / 6, 5 / 6), abs=1e-4)
    assert standing(seen_of(branching([], 2, rows=rows), rule=ExactMatch())) == (0.5, 0.5)


def test_where_no_law_is_due_to_it_the_final_token_has_no_standing():
    """Greedy and typical draws, a block's correction, a token cut off by the limit."""
    assert standing(seen_of(played([1, 2], 0, 0), ProcessedLaw(0.0), Greedy())) == (None, None)
    assert standing(seen_of(played([1, 2], 0, 0), rule=Typical())) == (None, None)
    assert standing(seen_of(played([1, 2], 0, 0), rule=Block())) == (None, None)
    assert standing(seen_of(played([1, 2], 2, 2), rule=Block())) == pytest.approx((0.3, 0.7))
    assert standing(seen_of(replace(played([1, 2], 2, 2), emitted=[1, 2]))) == (None, None)


class SameCoin(Rejection):
    """Draws the correction by the uniform number that turned the draft down, as its coin."""

    def decide(self, target_logits, proposal, law, generator):
        target_probs, token = law.probs(target_logits), proposal.tokens[0]
        coin = torch.rand((), generator=generator)
        if coin * proposal.draft_probs[0, token] < target_probs[0, token]:
            bonus = law.draw(target_probs[1:], generator)
            return torch.cat([torch.zeros_like(bonus), bonus])
        weights = (target_probs[0] - proposal.draft_probs[0]).clamp_min(0)
        token = torch.searchsorted(weights.cumsum(0), coin * weights.sum())
        return torch.stack([torch.tensor(-1), token])


def finals(rule=None, new_tokens=700, **given):
    """Ranks and orders [n] of the corrections and bonuses of a run between two tables."""
    tables = [torch.randn(31, 31, generator=torch.Generator().manual_seed(each)) for each in (1, 2)]
    given = {"widths": "3,2", "branch": 2, "nodes": 6, "depth": 3, "seed": 6} | given
    run = loop(*map(TableDecoder, tables), temperature=1.0, **given)
    run = replace(run, acceptance=rule) if rule else run
    _, rounds = decode(run, new_tokens=new_tokens)
    seen = [standing(seen_of(one, run.parts.law, run.acceptance)) for one in rounds[:-1]]
    return torch.tensor([each for each in seen if each[0] is not None]).unbind(1)


@pytest.mark.parametrize("shape", ["chain", "static-tree", "dynamic-tree"])
@pytest.mark.parametrize("rule", ["rejection", "exact-match", "block"])
def test_true_draws_stand_in_the_middle(rule, shape):
    """The means of rank and order are 1/2 within 4.4 standard errors: 1 in 100,000, seed fixed."""
    if rule == "block" and shape != "chain":
        return
    for found in finals(acceptance=rule, shape=shape):
        assert len(found) > 50
        assert abs(found.mean() - 0.5) < 4.4 * found.std() / len(found) ** 0.5


def test_a_coin_used_twice_shows_in_the_order_alone():
    """A draft falls to a large coin, which then picks late ids: by likelihood nothing shows."""
    rank, order = finals(SameCoin(), new_tokens=1500, depth=1)
    assert order.mean() - 0.5 > 5 * order.std() / len(order) ** 0.5
    assert abs(rank.mean() - 0.5) < 4.4 * rank.std() / len(rank) ** 0.5


@pytest.mark.parametrize("law", [ProcessedLaw(0.0), ProcessedLaw(1.0)], ids=["greedy", "sampled"])
def test_trees_and_chains_are_observed_together(law):
    """In the order they came in."""
    rule = Greedy() if law.greedy else Rejection()
    rounds = [
        branching([1], 1, sampled=not law.greedy),
        played([1, 2], 1, 0),
        branching([0, 2], 0, sampled=False),
        played([1, 2], 2, 2, draft=None),
    ]
    together = observe(rounds, law, rule).read()
    assert together == [seen_of(one, law, rule) for one in rounds]
    assert len({str(each) for each in together}) == len(rounds)
