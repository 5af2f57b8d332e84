"""Many rounds' numbers in one pass: the same as each round's by itself."""

from dataclasses import replace

import pytest
import torch

from engines import played as a_round
from specprof.acceptance.block import Block
from specprof.acceptance.exact_match import ExactMatch
from specprof.acceptance.greedy import Greedy
from specprof.acceptance.rejection import Rejection
from specprof.acceptance.typical import Typical
from specprof.engine.instruments.stopwatch import HostClock, Lap
from specprof.engine.observe.observe import observe
from specprof.engine.sampling import ProcessedLaw
from specprof.extend import Proposal


def seen_of(one, law, rule):
    return observe([one], law, rule).read()[0]


LAWS = {
    "greedy": ProcessedLaw(0.0),
    "sampled": ProcessedLaw(1.0),
    "top-p": ProcessedLaw(0.7, top_p=0.8),
    "top-k": ProcessedLaw(1.0, top_k=5),
}


def assorted(count, *, vocabulary, drawn, law):
    """Rounds of depth 0 to 5 with every ending: a correction, a bonus, one that was cut off."""
    rounds = []
    for number in range(count):
        depth = number % 6
        target = 3 * torch.randn(depth + 1, vocabulary, generator=drawn)
        draft = target[:depth] + torch.randn(depth, vocabulary, generator=drawn)
        probs = law.probs(draft)
        tokens = law.draw(probs, drawn) if depth else torch.empty(0, dtype=torch.int64)
        accepted = int(torch.randint(depth + 1, (), generator=drawn))
        final = int(torch.randint(vocabulary, (), generator=drawn))
        proposal = Proposal(tokens=tokens, logits=draft, draft_probs=probs)
        one = a_round(
            proposal, target, path=range(accepted), final=final, lap=Lap(HostClock(), 0, 0)
        )
        if number % 4 == 3:
            one = replace(one, emitted=one.emitted[: max(accepted, 1)])
        if number % 7 == 6:
            one = replace(one, proposal=replace(proposal, logits=None, draft_probs=None))
        rounds.append(one)
    return [one for one in rounds if one.drafted]


@pytest.mark.parametrize("vocabulary", [11, 1024])
@pytest.mark.parametrize("rule", [Rejection, ExactMatch, Block, Typical])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_rounds_observed_together_are_seen_as_one_by_one(law, rule, vocabulary):
    """To the last digit kept: no round's numbers lean on another's, nor on how they end."""
    drawn = torch.Generator().manual_seed(1)
    rule = Greedy() if law.greedy else rule()
    rounds = assorted(36, vocabulary=vocabulary, drawn=drawn, law=law)
    together = observe(rounds, law, rule).read()
    assert together == [seen_of(one, law, rule) for one in rounds]
    backwards = rounds[::-1]
    again = observe(backwards, law, rule).read()
    assert again == together[::-1]
