"""Evidence from raw logits, number by number, and its independence of the accept step."""

from dataclasses import replace

import pytest
import torch

from engines import played as a_round
from specprof.acceptance.greedy import Greedy
from specprof.acceptance.rejection import Rejection
from specprof.engine.observe import drafted_tokens, observe, sight
from specprof.engine.sampling import ProcessedLaw
from specprof.engine.stopwatch import HostClock, Lap
from specprof.extend import Proposal

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
    return sight(one, observe(one, law, rule).tolist(), law, rule)


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
