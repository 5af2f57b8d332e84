"""The confidence stop: where it stops, and that it drops nothing."""

from itertools import pairwise

import pytest
import torch

import engines
from specprof.depths.confidence import Confidence
from specprof.settings import Settings
from tables import TableDecoder

SURE, DOUBTFUL = 9.0, 0.0
TABLE = torch.tensor(
    [  # 0 -> 1 -> 2 surely, then 2 -> 0 with probability 0.5 over 3
        [0.0, SURE, 0.0, 0.0],
        [0.0, 0.0, SURE, 0.0],
        [20.01, 0.0, 0.0, 20.0],
        [SURE, 0.0, 0.0, 0.0],
    ]
)


def loop(table=TABLE, draft=TABLE, **given):
    given = {"depth": 6, "depth_policy": "confidence"} | given
    return engines.loop(TableDecoder(table), TableDecoder(draft), **given)


def test_it_goes_on_down_to_its_threshold():
    """Only the token drawn last counts, and the threshold itself is enough."""
    policy = Confidence(Settings(depth=6, confidence=0.5))
    assert policy.watches
    assert policy.ask() == policy.bound == 6
    assert policy.go_on([0.1, 0.5])
    assert not policy.go_on([0.9, 0.49])


@pytest.mark.parametrize(("confidence", "drafted"), [(0.0, 6), (0.4, 6), (0.6, 1), (1.0, 1)])
def test_the_doubtful_token_is_still_verified(confidence, drafted):
    """Drafting from 2: the first token has 0.5; at a higher threshold it is the only one."""
    _, played = engines.decode(loop(confidence=confidence), new_tokens=7, prompt=(1, 2))
    assert len(played[0].drafted) == drafted
    assert played[0].accepted == drafted
    assert played[0].depth_asked == 6


def test_greedy_confidence_is_the_drafts_own_softmax():
    """Sure tokens are drafted through, up to and with the doubtful one."""
    _, played = engines.decode(loop(confidence=0.6), new_tokens=7, prompt=(1, 0))
    assert played[0].drafted == [1, 2, 0]


def test_greedy_output_is_plain_greedy():
    """Another draft, a high threshold: the target's tokens all the same."""
    seeds = torch.Generator().manual_seed(3)
    for _ in range(20):
        table, draft = (torch.randn(6, 6, generator=seeds) for _ in "ab")
        plain = engines.decode(engines.loop(TableDecoder(table)), new_tokens=30)[0]
        run = loop(table, draft, confidence=0.5)
        assert engines.decode(run, new_tokens=30)[0] == plain


@pytest.mark.parametrize("policy", ["confidence", "hf-heuristic"])
def test_sampled_tokens_follow_the_targets_law(policy):
    """Pair counts of 3000 tokens against the table: chi-square below 1 in 1000, seed fixed.

    A policy that dropped doubtful tokens unverified would fail: 0.12 of the mass moves (theory 8).
    """
    seeds = torch.Generator().manual_seed(11)
    table, draft = (torch.randn(5, 5, generator=seeds) * 1.5 for _ in "ab")
    run = loop(table, draft, depth_policy=policy, temperature=1.0, confidence=0.3, seed=2)
    committed, played = engines.decode(run, new_tokens=3000)
    assert len({len(one.drafted) for one in played}) > 2
    counts = torch.zeros(5, 5)
    for before, after in pairwise(committed[1:]):
        counts[before, after] += 1
    expected = counts.sum(1, keepdim=True) * table.softmax(-1)
    assert ((counts - expected) ** 2 / expected).sum() < 45.3  # 20 degrees of freedom
